import { spawn, spawnSync } from 'node:child_process';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

/** No check may hang the run; the slowest (all tests) stays well below this. */
const TIMEOUT_MS = 20 * 60_000;
/** How long a command may go on after its last line. */
const END_TIMEOUT_MS = 30_000;
/** How long what a killed command had started may take to notice and to end. */
const ORPHAN_TIMEOUT_MS = 10_000;

/** The last line of a run of Vitest, from its reporter in this folder's parent: passed, failed, skipped. */
export const CLOSING_LINE = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m;

/**
 * Runs commands one after the other until one fails.
 *
 * @param {readonly (readonly string[])[]} commands
 * @param {{ show?: boolean, lastLine?: RegExp }} [options] `show` passes the output on while it runs. A command that goes on
 *   after `lastLine` is killed, and fails when processes of it live on; their list ends the output.
 * @returns {Promise<{ isGood: boolean, output: string, seconds: string }>} `output` without colours
 */
export async function runCheck(commands, { show = false, lastLine } = {}) {
  const began = Date.now();
  let output = '';
  let isGood = true;
  for (const command of commands) {
    const result = await run(command, show, lastLine);
    output += result.output;
    isGood = result.isGood;
    if (!isGood) break;
  }
  return { isGood, output, seconds: ((Date.now() - began) / 1000).toFixed(1) };
}

function run([program, ...args], show, lastLine) {
  return new Promise((resolve) => {
    const colour = show && process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...colour } });
    const began = Date.now();
    let output = '';
    let isKilled = false;
    const say = (text, target) => {
      output += text;
      if (show) target.write(text);
    };
    const end = (isGood) => {
      for (const timer of timers) clearTimeout(timer);
      resolve({ isGood, output: stripVTControlCharacters(output) });
    };
    const giveUp = async (reason, isDone) => {
      isKilled = true;
      child.kill('SIGKILL');
      // What it leaves behind may hold the pipes open.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
      const left = await processesLeft(began);
      say(`\n${reason}\n${left.map((line) => `still runs: ${line}\n`).join('')}`, process.stderr);
      end(isDone && left.length === 0);
    };
    const giveUpIn = (ms, reason, isDone) => setTimeout(() => void giveUp(reason, isDone), ms);
    const timers = [giveUpIn(TIMEOUT_MS, `Not done within ${TIMEOUT_MS / 60_000} minutes, and killed.`, false)];
    const take = (target) => (chunk) => {
      say(chunk, target);
      // Vite's servers do not always close: https://github.com/vitejs/vite/issues/23143.
      if (timers.length === 1 && lastLine?.test(output)) timers.push(giveUpIn(END_TIMEOUT_MS, 'Done, did not end, and was killed.', true));
    };
    child.stdout.setEncoding('utf8').on('data', take(process.stdout));
    child.stderr.setEncoding('utf8').on('data', take(process.stderr));
    child.once('error', (error) => {
      output = String(error);
      end(false);
    });
    child.once('close', (code) => {
      if (!isKilled) end(code === 0);
    });
  });
}

/** Processes of this checkout that were started after `began`, once they had their time to end. */
async function processesLeft(began) {
  for (const deadline = Date.now() + ORPHAN_TIMEOUT_MS; ; await sleep(500)) {
    const { stdout } = spawnSync('ps', ['-eo', 'etimes=,pid=,args='], { encoding: 'utf8' });
    const left = (stdout ?? '')
      .split('\n')
      .filter((line) => line.includes(process.cwd()) && Number.parseInt(line, 10) < (Date.now() - began) / 1000 - 1)
      .map((line) => line.trim().slice(0, 300));
    if (left.length === 0 || Date.now() > deadline) return left;
  }
}

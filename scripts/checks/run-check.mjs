import { spawn, spawnSync } from 'node:child_process';
import process from 'node:process';
import { stripVTControlCharacters } from 'node:util';

/** No check may hang the run; the slowest (all tests) stays well below this. */
const TIMEOUT_MS = 20 * 60_000;
/** How long a command may go on after what it was told to say last. */
const END_TIMEOUT_MS = 60_000;

/**
 * Runs commands one after the other until one fails.
 *
 * @param {readonly (readonly string[])[]} commands
 * @param {{ show?: boolean, lastLine?: RegExp }} [options] `show` passes the output on while it runs; a command that goes on
 *   for a minute after `lastLine` is killed, and the output ends with the processes that it may have waited for
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
    const say = (text, target) => {
      output += text;
      if (show) target.write(text);
    };
    const giveUp = (after) => {
      const seconds = Math.ceil((Date.now() - began) / 1000);
      say(`\n${after}; younger than the command are these processes:\n${processesYoungerThan(seconds)}\n`, process.stderr);
      child.kill('SIGKILL');
      // What it leaves behind may hold the pipes open.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
      end({ isGood: false, output: stripVTControlCharacters(output) });
    };
    const timers = [setTimeout(giveUp, TIMEOUT_MS, `Not done within ${TIMEOUT_MS / 60_000} minutes`)];
    const take = (target) => (chunk) => {
      say(chunk, target);
      if (timers.length === 1 && lastLine?.test(output)) timers.push(setTimeout(giveUp, END_TIMEOUT_MS, 'Done, but does not end'));
    };
    child.stdout.setEncoding('utf8').on('data', take(process.stdout));
    child.stderr.setEncoding('utf8').on('data', take(process.stderr));
    const end = (result) => {
      for (const timer of timers) clearTimeout(timer);
      resolve(result);
    };
    child.once('error', (error) => end({ isGood: false, output: String(error) }));
    child.once('close', (code) => end({ isGood: code === 0, output: stripVTControlCharacters(output) }));
  });
}

function processesYoungerThan(seconds) {
  const { stdout } = spawnSync('ps', ['-eo', 'etimes=,pid=,ppid=,args='], { encoding: 'utf8' });
  const lines = (stdout ?? '').split('\n').filter((line) => line.trim() !== '' && Number.parseInt(line, 10) <= seconds);
  return lines.map((line) => line.slice(0, 200)).join('\n');
}

import { spawn } from 'node:child_process';
import process from 'node:process';
import { stripVTControlCharacters } from 'node:util';

/** No check may hang the run; the slowest (all tests) stays well below this. */
const TIMEOUT_MS = 20 * 60_000;

/**
 * Runs commands one after the other until one fails.
 *
 * @param {readonly (readonly string[])[]} commands
 * @param {{ show?: boolean }} [options] `show` passes the output on while it runs
 * @returns {Promise<{ isGood: boolean, output: string, seconds: string }>} `output` without colours
 */
export async function runCheck(commands, { show = false } = {}) {
  const began = Date.now();
  let output = '';
  let isGood = true;
  for (const command of commands) {
    const result = await run(command, show);
    output += result.output;
    isGood = result.isGood;
    if (!isGood) break;
  }
  return { isGood, output, seconds: ((Date.now() - began) / 1000).toFixed(1) };
}

function run([program, ...args], show) {
  return new Promise((resolve) => {
    const colour = show && process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...colour }, timeout: TIMEOUT_MS });
    let output = '';
    const take = (target) => (chunk) => {
      output += chunk;
      if (show) target.write(chunk);
    };
    child.stdout.setEncoding('utf8').on('data', take(process.stdout));
    child.stderr.setEncoding('utf8').on('data', take(process.stderr));
    child.once('error', (error) => resolve({ isGood: false, output: String(error) }));
    child.once('close', (code) => resolve({ isGood: code === 0, output: stripVTControlCharacters(output) }));
  });
}

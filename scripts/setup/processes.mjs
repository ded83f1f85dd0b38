import { spawn } from 'node:child_process';
import process from 'node:process';

/** Enough of a tool's output to see why it failed. */
const KEPT_OUTPUT_CHARACTERS = 20_000;

const running = new Set();
let onStart = () => undefined;

/** Calls `listener` with the number of each process that runs a tool from now on. @param {(pid: number) => void} listener */
export function tellOfTools(listener) {
  onStart = listener;
}

/** A tool that failed; `output` holds the end of what it printed. */
export class ToolError extends Error {
  constructor(message, output) {
    super(message);
    this.output = output;
  }
}

/**
 * Runs a program to its end and returns what it printed.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>}
 */
export function runTool(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    if (child.pid !== undefined) onStart(child.pid);
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-KEPT_OUTPUT_CHARACTERS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      running.delete(child);
      if (code === 0) resolve(output);
      else reject(new ToolError(`${program} ${args.slice(0, 3).join(' ')} failed (${signal ?? `exit code ${code}`})`, output));
    });
  });
}

/** Stops what runs when we are told to stop, and ends with the code that a shell expects. */
export function stopToolsOnSignals(cleanUp) {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ]) {
    process.on(signal, () => {
      for (const child of running) child.kill('SIGTERM');
      cleanUp();
      process.exit(128 + number);
    });
  }
}

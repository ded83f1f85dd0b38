import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { removePostgres } from '@weir/embedded-postgres';
import { descendants, memoryOf, show, summarise, type Memory } from '../measure.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const WARM_ROUNDS = 7;
const READY_TIMEOUT_MS = 240_000;
/** Time for what the start left behind to be collected before memory is read. */
const IDLE_MS = 15_000;
const PORT = 41_000 + (process.pid % 1_000);

/**
 * `npm start` as a user types it, from the command to the first answer of a model: the first one with new data (the
 * packages installed already), and warm ones; and what the idle platform keeps resident, PostgreSQL included.
 */
export async function benchStartup(): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'weir-startup-'));
  const home = path.join(directory, '.weir');
  try {
    const first = await startAndStop(home, 0);
    const warm: number[] = [];
    let idle: Idle = { residentBytes: 0, proportionalBytes: 0, processes: [], count: 0 };
    for (let round = 0; round < WARM_ROUNDS; round++) {
      const measured = await startAndStop(home, round === WARM_ROUNDS - 1 ? IDLE_MS : 0);
      warm.push(measured.seconds);
      idle = measured.idle;
    }
    return `| | |
|---|---|
| first \`npm start\` with new data, packages installed, to the first answer | ${first.seconds.toFixed(1)} s |
| warm \`npm start\` to the first answer, ${WARM_ROUNDS} rounds, median (range) | ${show(summarise(warm), 's', 1)} |
| resident memory of the idle platform, ${idle.count} processes, npm and PostgreSQL included | ${mebibytes(idle.proportionalBytes)} (${mebibytes(idle.residentBytes)} when each shared page is counted for every process that maps it) |

${idle.processes.map(({ name, proportionalBytes }) => `${name} ${mebibytes(proportionalBytes)}`).join(', ')}.
`;
  } finally {
    removePostgres(path.join(home, 'postgres'));
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Idle extends Memory {
  /** All processes. */
  readonly count: number;
  /** The largest. */
  readonly processes: readonly { readonly name: string; readonly proportionalBytes: number }[];
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

async function startAndStop(home: string, idleMs: number): Promise<{ seconds: number; idle: Idle }> {
  const begin = performance.now();
  const npm = spawn('npm', ['start'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, WEIR_HOME: home, WEIR_PORT: String(PORT) },
  });
  const ended = new Promise((resolve) => npm.once('exit', resolve));
  try {
    await firstAnswer(home, npm);
    const seconds = (performance.now() - begin) / 1000;
    await sleep(idleMs);
    return { seconds, idle: idleMemory(descendants(npm.pid ?? 0)) };
  } finally {
    const pids = descendants(npm.pid ?? 0);
    npm.kill('SIGTERM');
    for (const pid of pids) if (nameOf(pid) === 'weir') process.kill(pid, 'SIGTERM');
    // npm may be gone before what it started.
    while (pids.some((pid) => existsSync(`/proc/${pid}`))) await sleep(50);
    await ended;
  }
}

function idleMemory(pids: readonly number[]): Idle {
  const processes = pids
    .map((pid) => ({ name: nameOf(pid), ...memoryOf(pid) }))
    .toSorted((a, b) => b.proportionalBytes - a.proportionalBytes);
  const sum = (of: (memory: Memory) => number): number => processes.reduce((total, one) => total + of(one), 0);
  return {
    residentBytes: sum((one) => one.residentBytes),
    proportionalBytes: sum((one) => one.proportionalBytes),
    processes: processes.slice(0, 10),
    count: processes.length,
  };
}

/** The service, or the program. */
function nameOf(pid: number): string {
  const [program = '', ...rest] = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0') : [];
  const service = /apps\/(\w+)\/dist/.exec(rest.join(' '))?.[1];
  return service ?? path.basename(program.split(' ')[0] ?? program);
}

async function firstAnswer(home: string, npm: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const demoFile = path.join(home, 'demo.env');
  while (Date.now() < deadline) {
    if (npm.exitCode !== null) throw new Error(`npm start ended with ${npm.exitCode}`);
    if (existsSync(demoFile)) {
      const { WEIR_API_KEY } = parseEnv(readFileSync(demoFile, 'utf8'));
      const answer = await fetch(`http://127.0.0.1:${PORT}/v2/models/sentiment/infer`, {
        method: 'POST',
        headers: { authorization: `Bearer ${WEIR_API_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['Good.'] }] }),
      }).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.status === 200) return;
    }
    await sleep(50);
  }
  throw new Error('the platform did not answer in time');
}

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endOrphanedBackends } from './orphaned-backends.ts';
import type { Placement } from './placement.ts';
import { signal } from './signal.ts';

/** How long a PostgreSQL that lost its owner may take to stop before it is killed. */
const STOP_TIMEOUT_MS = 15_000;

/**
 * Clears what a killed start left behind: a PostgreSQL that still runs, backends that outlived it, or its pid file.
 *
 * @returns the number of backends that outlived their postmaster and had to be killed
 * @throws Error when the cluster belongs to a live process, or a backend cannot be killed
 */
export async function clearLeftovers(place: Placement): Promise<number> {
  const pidFile = path.join(place.data, 'postmaster.pid');
  const pid = firstNumber(pidFile);
  if (pid === null) return 0;
  if (isPostgres(pid, place.data)) await stopPostmaster(pid, place);
  const killed = await endOrphanedBackends(realpathSync(place.data));
  // Its number may belong to another process by now, because of which PostgreSQL would refuse to start.
  rmSync(pidFile, { force: true });
  return killed;
}

async function stopPostmaster(pid: number, place: Placement): Promise<void> {
  const owner = firstNumber(place.ownerFile);
  if (owner !== null && isAlive(owner))
    throw new Error(`PostgreSQL already runs on ${place.data}, started by process ${owner}: stop that one first.`);
  signal(pid, 'SIGINT');
  for (const deadline = Date.now() + STOP_TIMEOUT_MS; isPostgres(pid, place.data); await sleep(50)) {
    if (Date.now() > deadline) {
      signal(pid, 'SIGKILL');
      return;
    }
  }
}

function firstNumber(file: string): number | null {
  if (!existsSync(file)) return null;
  const value = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return Number.isSafeInteger(value) && value > 1 ? value : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Is `pid` a PostgreSQL server on this data directory? */
function isPostgres(pid: number, dataDirectory: string): boolean {
  return isAlive(pid) && commandLine(pid).includes(dataDirectory);
}

function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    // It ended between the two looks.
    return '';
  }
}

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from './signal.ts';

/** Backends notice the death of their postmaster by themselves, unless they are stopped or wait for a disk. */
const EXIT_TIMEOUT_MS = 2_000;
/** SIGKILL ends a process at once, unless it is in an uninterruptible wait. */
const KILL_TIMEOUT_MS = 3_000;
const POLL_MS = 50;

/**
 * Ends the backends of a postmaster that no longer exists. As long as one of them lives, it holds the cluster's shared memory
 * and PostgreSQL refuses to start ("pre-existing shared memory block is still in use"). Killing them is safe: without a
 * postmaster nothing they do can be committed consistently, and the next start recovers from the write-ahead log.
 *
 * @param dataDirectory the cluster's data as PostgreSQL sees it
 * @returns the number of backends that had to be killed
 * @throws Error when one survives SIGKILL, which means that the kernel waits for a disk on its behalf
 */
export async function endOrphanedBackends(dataDirectory: string): Promise<number> {
  if ((await remainingAfter(dataDirectory, EXIT_TIMEOUT_MS)).length === 0) return 0;
  const stuck = backendsOf(dataDirectory);
  for (const pid of stuck) signal(pid, 'SIGKILL');
  const survivors = await remainingAfter(dataDirectory, KILL_TIMEOUT_MS);
  if (survivors.length > 0) {
    throw new Error(
      `PostgreSQL cannot start: process ${survivors.join(', ')} of the one before still uses ${dataDirectory} and cannot be killed, probably because its disk does not answer.`,
    );
  }
  return stuck.length;
}

async function remainingAfter(dataDirectory: string, timeoutMs: number): Promise<number[]> {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(POLL_MS)) {
    const pids = backendsOf(dataDirectory);
    if (pids.length === 0 || performance.now() > deadline) return pids;
  }
}

/** PostgreSQL's processes change to the data directory when they start, and each backend leads a process group of its own. */
function backendsOf(dataDirectory: string): number[] {
  return process.platform === 'linux' ? fromProc(dataDirectory) : fromLsof(dataDirectory);
}

function fromProc(dataDirectory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === dataDirectory && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres';
      } catch {
        // It ended meanwhile, or it belongs to another user.
        return false;
      }
    });
}

function fromLsof(dataDirectory: string): number[] {
  try {
    const output = execFileSync('lsof', ['-a', '-c', 'postgres', '-d', 'cwd', '-F', 'pn'], { encoding: 'utf8', stdio: 'pipe' });
    const pids: number[] = [];
    let pid = 0;
    for (const line of output.split('\n')) {
      if (line.startsWith('p')) pid = Number(line.slice(1));
      else if (line === `n${dataDirectory}`) pids.push(pid);
    }
    return pids;
  } catch {
    // lsof exits with 1 when it finds none.
    return [];
  }
}

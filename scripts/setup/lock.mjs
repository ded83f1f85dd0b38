import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/** The slowest install that another process may be busy with. */
const WAIT_TIMEOUT_MS = 15 * 60_000;

/**
 * Takes the lock of the installation, waiting while another process installs.
 *
 * @param {string} file
 * @param {(owner: number) => void} onWait called once when there is somebody to wait for
 * @returns {Promise<{ letGo: () => void, shareWith: (pid: number) => void }>} lets it go; and makes the next one wait for a
 *   tool too, which lives on when only we are killed
 */
export async function takeLock(file, onWait) {
  mkdirSync(path.dirname(file), { recursive: true });
  let hasTold = false;
  for (const deadline = Date.now() + WAIT_TIMEOUT_MS; ; await sleep(250)) {
    const owner = tryTake(file);
    if (owner === null) return { letGo: () => rmSync(file, { force: true }), shareWith: (pid) => appendFileSync(file, `\n${pid}`) };
    if (!hasTold) onWait(owner);
    hasTold = true;
    if (Date.now() > deadline)
      throw new Error(`Process ${owner} has been installing for ${WAIT_TIMEOUT_MS / 60_000} minutes: stop it and try again.`);
  }
}

/** Null when the lock is ours now, else a process that holds it. */
function tryTake(file) {
  try {
    const handle = openSync(file, 'wx');
    try {
      writeSync(handle, String(process.pid));
    } catch (error) {
      // A full disk makes files, but holds nothing in them.
      rmSync(file, { force: true });
      throw error;
    } finally {
      closeSync(handle);
    }
    return null;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const owners = ownersOf(file);
  const owner = owners.find(isAlive);
  if (owners.length > 0 && owner === undefined) {
    // Moved, then looked at again: of several that find a dead owner only one removes the lock that it saw.
    const aside = `${file}.${process.pid}`;
    try {
      renameSync(file, aside);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      return owners[0];
    }
    rmSync(aside, { force: true });
    return tryTake(file);
  }
  return owner ?? 0;
}

/** The process that took the lock and the tools that it ran; none when the file is gone or not yet written. */
function ownersOf(file) {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map(Number)
      .filter((pid) => Number.isSafeInteger(pid) && pid > 0);
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

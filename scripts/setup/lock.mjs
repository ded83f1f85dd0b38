import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
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
 * @returns {Promise<() => void>} lets it go
 */
export async function takeLock(file, onWait) {
  mkdirSync(path.dirname(file), { recursive: true });
  let hasTold = false;
  for (const deadline = Date.now() + WAIT_TIMEOUT_MS; ; await sleep(250)) {
    const owner = tryTake(file);
    if (owner === null) return () => rmSync(file, { force: true });
    if (!hasTold) onWait(owner);
    hasTold = true;
    if (Date.now() > deadline)
      throw new Error(`Process ${owner} has been installing for ${WAIT_TIMEOUT_MS / 60_000} minutes: stop it and try again.`);
  }
}

/** Null when the lock is ours now, else the process that holds it. */
function tryTake(file) {
  try {
    const handle = openSync(file, 'wx');
    writeSync(handle, String(process.pid));
    closeSync(handle);
    return null;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const owner = ownerOf(file);
  if (owner !== null && !isAlive(owner)) {
    // Moved, then looked at again: of several that find a dead owner only one removes the lock that it saw.
    const aside = `${file}.${process.pid}`;
    try {
      renameSync(file, aside);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      return owner;
    }
    rmSync(aside, { force: true });
    return tryTake(file);
  }
  return owner ?? 0;
}

function ownerOf(file) {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch (error) {
    if (error.code === 'ENOENT') return null;
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

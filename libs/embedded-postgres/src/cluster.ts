import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { explain } from './failures.ts';
import type { Placement } from './placement.ts';
import { unsigned } from './server-user.ts';
import type { ServerUser } from './server-user.ts';

/** How long initdb may take on a slow disk. */
const INITDB_TIMEOUT_MS = 120_000;

/**
 * Makes the cluster if there is none, and returns the superuser's password.
 * It is made under another name and renamed, so that a start that was killed half-way leaves nothing that looks whole.
 *
 * @throws Error with one sentence when the data cannot be written or the password is lost
 */
export async function ensureCluster(place: Placement, native: string, user: ServerUser | null, durable: boolean): Promise<string> {
  if (existsSync(path.join(place.data, 'PG_VERSION'))) return readPassword(place);
  const password = randomBytes(24).toString('base64url');
  const fresh = `${place.data}.new`;
  const passwordInput = `${fresh}.password`;
  try {
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true, mode: 0o700 });
    writeFileSync(passwordInput, password, { mode: 0o600 });
    if (user !== null) for (const file of [fresh, passwordInput]) chownSync(file, unsigned(user.uid), unsigned(user.gid));
    // The built-in locale sorts the same on every operating system and needs no installed locales.
    const locale = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--encoding=UTF8'];
    const sync = durable ? [] : ['--no-sync'];
    await initdb(native, user, ['-D', fresh, '-U', 'postgres', `--pwfile=${passwordInput}`, '--auth=scram-sha-256', ...locale, ...sync]);
    writeFileSync(place.passwordFile, `${password}\n`, { mode: 0o600 });
    rmSync(place.data, { recursive: true, force: true });
    renameSync(fresh, place.data);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw explain(error, place.data);
  } finally {
    rmSync(passwordInput, { force: true });
  }
  return password;
}

function readPassword(place: Placement): string {
  try {
    return readFileSync(place.passwordFile, 'utf8').trim();
  } catch (error) {
    throw new Error(
      `The password of the database in ${place.data} cannot be read from ${place.passwordFile}: put the file back, or begin anew with npm start -- --fresh.`,
      {
        cause: error,
      },
    );
  }
}

function initdb(native: string, user: ServerUser | null, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(native, 'bin/initdb'), args, {
      ...user,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: INITDB_TIMEOUT_MS,
    });
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8_000);
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`initdb failed: ${output.trim()}`))));
  });
}

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, openSync } from 'node:fs';
import { chmod, chown, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@weir/platform/telemetry';

/** The user and group that a serving process runs as. */
export interface ServingAccount {
  readonly uid: number;
  readonly gid: number;
}

/** Trust classes with an account of their own; further ones share them. */
const ACCOUNTS = 1_000;
/** Longest check of what an account can read, in milliseconds. */
const CHECK_TIMEOUT_MS = 10_000;

export interface ServingAccountsOptions {
  /** The first user id; 0: serving processes run as the user of the worker. */
  readonly uidBase: number;
  /** Folders whose content serving processes reach by its path; none of them can be listed by an account. */
  readonly directories: readonly string[];
  /** Files that a serving process cannot start without. */
  readonly code: readonly string[];
  readonly logger: Logger;
}

/**
 * Accounts of serving processes where the worker runs as root: each trust class has a user id of its own, so that a process reads
 * neither the platform's state nor the memory and the model files of other classes. The ids need no entry in /etc/passwd.
 */
export class ServingAccounts {
  readonly #uidBase: number;
  readonly #byClass = new Map<string, ServingAccount>();

  private constructor(uidBase: number) {
    this.#uidBase = uidBase;
  }

  /** Null where the worker is not root, where they are switched off, and where accounts cannot reach the code or the folders. */
  static create({ uidBase, directories, code, logger }: ServingAccountsOptions): ServingAccounts | null {
    if (uidBase === 0 || process.getuid?.() !== 0) return null;
    for (const directory of directories) chmodSync(directory, 0o711);
    const unreachable = unreachableFor({ uid: uidBase, gid: uidBase }, directories, code);
    if (unreachable === null) return new ServingAccounts(uidBase);
    logger.warn({ unreachable }, 'serving processes run as root: an account of their own cannot reach what they need');
    return null;
  }

  of(trustClass: string): ServingAccount {
    let account = this.#byClass.get(trustClass);
    if (account === undefined) {
      const id = this.#uidBase + (this.#byClass.size % ACCOUNTS);
      account = { uid: id, gid: id };
      this.#byClass.set(trustClass, account);
    }
    return account;
  }
}

/** Creates an empty file that an account may write. */
export function createFileFor(account: ServingAccount | null, file: string): void {
  closeSync(openSync(file, 'w', 0o600));
  if (account !== null) chownSync(file, account.uid, account.gid);
}

/** Lets the group of an account read a folder of model files. Its files may be linked elsewhere, so the folders keep others out. */
export async function letRead({ gid }: ServingAccount, directory: string): Promise<void> {
  await chown(directory, 0, gid);
  await chmod(directory, 0o750);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await letRead({ uid: gid, gid }, path);
    else await chmod(path, 0o644);
  }
}

/** The entry of serving processes, and a file of each place that it imports from. */
export function servingCode(entry: string): string[] {
  return [process.execPath, entry, ...['onnxruntime-node', '@weir/kernel'].map((name) => fileURLToPath(import.meta.resolve(name)))];
}

function unreachableFor(account: ServingAccount, directories: readonly string[], code: readonly string[]): string | null {
  const script =
    'for d in "$@"; do case "$d" in -r:*) test -r "${d#-r:}" ;; *) test -x "${d#-x:}" ;; esac || { echo "${d#-?:}"; exit 1; }; done';
  const paths = [
    ...directories.flatMap((directory) => [`-x:${directory}`]),
    ...code.flatMap((file) => [`-x:${dirname(file)}`, `-r:${file}`]),
  ];
  const checked = spawnSync('/bin/sh', ['-c', script, 'sh', ...paths], {
    ...account,
    cwd: '/',
    env: {},
    encoding: 'utf8',
    timeout: CHECK_TIMEOUT_MS,
  });
  if (checked.status === 0) return null;
  return checked.error?.message ?? (checked.stdout.trim() || 'unknown');
}

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { canReach } from './server-user.ts';
import type { ServerUser } from './server-user.ts';

/** Where data and binaries go when PostgreSQL's account cannot enter the folder that was asked for. */
const SYSTEM_FOLDER = '/var/lib/weir';
/** Beside data that are not durable: the folder that they belong to. */
const DISPOSABLE_FILE = 'disposable';

/** The files that belong to one cluster. */
export interface Placement {
  /** Where PostgreSQL really keeps its data. */
  readonly data: string;
  /** The superuser's password, mode 600, beside the folder that was asked for. */
  readonly passwordFile: string;
  /** Process id of the process that started this cluster. */
  readonly ownerFile: string;
}

/**
 * Decides where the data of `dataDirectory` live. Usually there; as root below a folder that
 * only root may enter, under /var/lib/weir, and a note beside the folder says where, so that
 * the next start (even after the folder was renamed) finds them again. Data that are not `durable`
 * are deleted there by a later start when the folder that they belong to is gone.
 */
export function place(dataDirectory: string, user: ServerUser | null, durable: boolean): Placement {
  const parent = path.dirname(dataDirectory);
  mkdirSync(parent, { recursive: true });
  const files = { passwordFile: `${dataDirectory}.password`, ownerFile: `${dataDirectory}.owner` };
  const noted = notedLocation(dataDirectory);
  if (noted !== null) return { ...files, data: noted };
  if (user === null || canReach(user, dataDirectory)) return { ...files, data: dataDirectory };
  if (!durable) removeAbandoned();
  const origin = path.join(realpathSync(parent), path.basename(dataDirectory));
  const folder = systemFolder(createHash('sha256').update(origin).digest('hex').slice(0, 16));
  if (!durable) writeFileSync(path.join(folder, DISPOSABLE_FILE), `${path.dirname(origin)}\n`);
  const data = path.join(folder, 'data');
  writeFileSync(noteFile(dataDirectory), `${data}\n`);
  return { ...files, data };
}

/** Deletes what test runs that were killed left under /var/lib/weir: disposable data whose folder is gone. */
function removeAbandoned(): void {
  if (!existsSync(SYSTEM_FOLDER)) return;
  for (const name of readdirSync(SYSTEM_FOLDER)) {
    const mark = path.join(SYSTEM_FOLDER, name, DISPOSABLE_FILE);
    if (/^[0-9a-f]{16}$/.test(name) && existsSync(mark) && !existsSync(readFileSync(mark, 'utf8').trim())) {
      rmSync(path.join(SYSTEM_FOLDER, name), { recursive: true, force: true });
    }
  }
}

/** A folder under /var/lib/weir that every account may pass through, whatever the umask. */
export function systemFolder(name: string): string {
  const folder = path.join(SYSTEM_FOLDER, name);
  mkdirSync(folder, { recursive: true });
  chmodSync(SYSTEM_FOLDER, 0o755);
  chmodSync(folder, 0o755);
  return folder;
}

/** Deletes a stopped cluster for good: its data, wherever they are, and its password. */
export function removePostgres(dataDirectory: string): void {
  const noted = notedLocation(dataDirectory);
  if (noted !== null) rmSync(path.dirname(noted), { recursive: true, force: true });
  for (const file of ['', '.new', '.password', '.owner', '.location']) rmSync(`${dataDirectory}${file}`, { recursive: true, force: true });
}

const noteFile = (dataDirectory: string): string => `${dataDirectory}.location`;

/** What the note says, if it is one of ours: it is deleted recursively by `removePostgres`. */
function notedLocation(dataDirectory: string): string | null {
  const note = noteFile(dataDirectory);
  if (!existsSync(note)) return null;
  const location = readFileSync(note, 'utf8').trim();
  return /^\/var\/lib\/weir\/[0-9a-f]{16}\/data$/.test(location) ? location : null;
}

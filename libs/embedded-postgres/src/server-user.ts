import { statSync } from 'node:fs';
import path from 'node:path';

/** The account that PostgreSQL runs under; it refuses to run as root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `nobody`; macOS numbers it -2. */
const NOBODY: ServerUser = process.platform === 'darwin' ? { uid: -2, gid: -2 } : { uid: 65534, gid: 65534 };

/**
 * Whom PostgreSQL must run as: null means as ourselves. As root it runs as the owner of the
 * data that are there (a folder may have been started by an ordinary user before), else as `nobody`.
 */
export function serverUser(dataDirectory: string): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(dataDirectory, { throwIfNoEntry: false });
  return owner !== undefined && owner.uid !== 0 ? { uid: signed(owner.uid), gid: signed(owner.gid) } : NOBODY;
}

/** Can `user` pass through every folder above `target`? Root's own 0700 folders are what stops it. */
export function canReach(user: ServerUser, target: string): boolean {
  for (let folder = path.dirname(path.resolve(target)); ; folder = path.dirname(folder)) {
    const entry = statSync(folder, { throwIfNoEntry: false });
    if (entry !== undefined) {
      const executable = signed(entry.uid) === user.uid ? 0o100 : signed(entry.gid) === user.gid ? 0o010 : 0o001;
      if ((entry.mode & executable) === 0) return false;
    }
    if (folder === path.dirname(folder)) return true;
  }
}

/** `spawn` takes ids as signed 32-bit numbers, `stat` gives them unsigned. */
const signed = (id: number): number => id | 0;

/** `chown` takes them unsigned. */
export const unsigned = (id: number): number => id >>> 0;

import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const LOCK_FILE = 'lock.sqlite';
/** SQLite's result code for a lock that another connection holds. */
const SQLITE_BUSY = 5;

export interface DirectoryClaim {
  /** Releases the lock; a second time does nothing. */
  release(): void;
}

/**
 * Acquires the exclusive lock of a directory for the life of this process.
 *
 * The lock is the `fcntl` lock of an open exclusive transaction on an empty SQLite database. The kernel releases it when the
 * process ends, however it ends, and it does not depend on process ids, so it holds across the PID namespaces of containers
 * that share a volume. Nothing is ever written to the file.
 *
 * @throws Error another process holds the lock, or the file cannot be opened
 */
export function claimDirectory(directory: string): DirectoryClaim {
  const database = new DatabaseSync(path.join(directory, LOCK_FILE), { timeout: 0 });
  try {
    // Without a journal file: a full disk does not keep a gateway from starting.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new Error(`the directory ${directory} is locked by another process`, { cause: error });
    throw error;
  }
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}

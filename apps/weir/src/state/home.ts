import { accessSync, constants, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { explainFileError, StartError } from '../start-error.ts';

/** A new database, its log and the models take 120 MB; with less, services fail one after the other. */
const LEAST_FREE_BYTES = 200_000_000;

/** Where everything lies that outlives a start. */
export interface Home {
  readonly folder: string;
  readonly lockFile: string;
  /** Process ids and ports of what runs, for people and tools that look in. */
  readonly runFile: string;
  readonly secretsFile: string;
  readonly portsFile: string;
  readonly demoFile: string;
  /** Says that the demonstration is complete. */
  readonly seedFile: string;
  readonly keys: string;
  readonly logs: string;
  readonly postgres: string;
  readonly artifacts: string;
  readonly spool: string;
  readonly workerCache: string;
  /** Of Node.js, for its compiled code. */
  readonly compileCache: string;
}

export function homeAt(folder: string): Home {
  const at = (name: string): string => path.join(folder, name);
  return {
    folder,
    lockFile: at('launcher.lock'),
    runFile: at('run.json'),
    secretsFile: at('secrets.json'),
    portsFile: at('ports.json'),
    demoFile: at('demo.env'),
    seedFile: at('seed.json'),
    keys: at('keys'),
    logs: at('logs'),
    postgres: at('postgres'),
    artifacts: at('artifacts'),
    spool: at('spool'),
    workerCache: at('worker'),
    compileCache: at('build/compile-cache'),
  };
}

/**
 * Makes the folders. The home itself may be entered by others, because as root PostgreSQL runs under
 * another account; what is secret in it is not readable for them.
 *
 * @throws StartError when they cannot be written or the disk has too little room
 */
export function makeHome(home: Home): void {
  try {
    mkdirSync(home.folder, { recursive: true, mode: 0o755 });
    accessSync(home.folder, constants.W_OK | constants.X_OK);
    // A full disk still lets folders be made; a byte in a file tells.
    const probe = path.join(home.folder, '.probe');
    writeFileSync(probe, 'weir\n'.repeat(1_000));
    rmSync(probe);
    for (const folder of [home.keys, home.logs, home.artifacts, home.spool, home.workerCache])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw explainFileError(error, home.folder);
  }
  const { bavail, bsize } = statfsSync(home.folder);
  const freeBytes = bavail * bsize;
  if (freeBytes < LEAST_FREE_BYTES) {
    const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_000_000)} MB`;
    throw new StartError(
      `The disk that holds ${home.folder} is full but for ${megabytes(freeBytes)}: free at least ${megabytes(LEAST_FREE_BYTES)} and start again.`,
    );
  }
}

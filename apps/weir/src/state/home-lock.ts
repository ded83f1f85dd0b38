import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { StartError, explainFileError } from '../start-error.ts';

/**
 * Makes sure that one launcher uses a folder. A lock left by one that was killed is taken over.
 *
 * @returns lets the folder go
 * @throws StartError when another launcher lives
 */
export function lockHome(lockFile: string, folder: string): () => void {
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      const handle = openSync(lockFile, 'wx', 0o644);
      writeSync(handle, `${process.pid}\n${startedAs(process.pid)}\n`);
      closeSync(handle);
      return () => rmSync(lockFile, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw explainFileError(error, folder);
    }
    const owner = livingOwner(lockFile);
    if (owner !== null)
      throw new StartError(
        `Weir already runs in ${folder} (process ${owner}): stop it first, or start another one with WEIR_HOME and WEIR_PORT set.`,
      );
    rmSync(lockFile, { force: true });
  }
  throw new StartError(`Another start in ${folder} is under way: try again.`);
}

/** The process that holds the lock, or null when it is gone and its number may belong to another program. */
function livingOwner(lockFile: string): number | null {
  let content: string;
  try {
    content = readFileSync(lockFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const [pidText, command] = content.split('\n');
  const pid = Number(pidText);
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return null;
  return command !== undefined && command !== '' && startedAs(pid) === command ? pid : null;
}

/** Identity of a process beyond its number: its command line and, where the system tells, when it began. */
function startedAs(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // Field 22, the ticks since boot at which it began; counted after the name, which may hold spaces.
      const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      return `${began} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`;
    }
    return execFileSync('ps', ['-o', 'lstart=,command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    // There is no such process.
    return '';
  }
}

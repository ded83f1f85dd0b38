import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { identityOf } from '../processes/process-identity.ts';
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
      writeSync(handle, `${process.pid}\n${identityOf(process.pid)}\n`);
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
  return command !== undefined && command !== '' && identityOf(pid) === command ? pid : null;
}

import { open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

const CLAIM_FILE = 'owner.pid';

export interface DirectoryClaim {
  release(): Promise<void>;
}

/**
 * Makes this process the only one that uses the folder. The claim of a process that is gone is taken over.
 *
 * @throws Error when another live process has it
 */
export async function claimDirectory(directory: string): Promise<DirectoryClaim> {
  const file = path.join(directory, CLAIM_FILE);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = await open(file, 'wx', 0o600);
      await handle.writeFile(String(process.pid));
      await handle.close();
      return { release: () => rm(file, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      const owner = Number(await readFile(file, 'utf8').catch(() => '0'));
      if (owner > 0 && owner !== process.pid && isAlive(owner))
        throw new Error(`the folder ${directory} is used by process ${owner}`, { cause: error });
      await rm(file, { force: true });
    }
  }
  throw new Error(`the folder ${directory} cannot be claimed`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

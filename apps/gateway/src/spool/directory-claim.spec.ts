import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimDirectory } from './directory-claim.ts';

const HOLDER = new URL('./directory-claim-process.fixture.ts', import.meta.url);

let directory: string;
let holder: ChildProcess | undefined;

async function startHolder(): Promise<ChildProcess> {
  holder = fork(HOLDER, [directory], { execArgv: ['--conditions=@weir/source', '--disable-warning=ExperimentalWarning'] });
  await once(holder, 'message');
  return holder;
}

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-lock-'));
});

afterEach(async () => {
  holder?.kill('SIGKILL');
  holder = undefined;
  await rm(directory, { recursive: true, force: true });
});

describe('the lock of a directory', () => {
  test('is refused while another live process holds it, and is free the moment that process is killed', async () => {
    const other = await startHolder();
    expect(() => claimDirectory(directory)).toThrow(/locked by another process/);
    other.kill('SIGKILL');
    await once(other, 'exit');
    claimDirectory(directory).release();
  });

  test('is refused to a second holder in the same process, and free after its release', () => {
    const claim = claimDirectory(directory);
    expect(() => claimDirectory(directory)).toThrow(/locked by another process/);
    claim.release();
    claimDirectory(directory).release();
  });

  test('does not depend on process ids: a file with the id of a live process blocks nobody', async () => {
    await writeFile(path.join(directory, 'owner.pid'), String(process.ppid));
    claimDirectory(directory).release();
  });

  test('writes nothing, so that a full disk keeps no gateway from starting', async () => {
    const claim = claimDirectory(directory);
    const files = await readdir(directory);
    const sizes = await Promise.all(files.map(async (file) => (await stat(path.join(directory, file))).size));
    expect(sizes).toEqual([0]);
    claim.release();
  });
});

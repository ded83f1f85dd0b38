import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PlacementState } from '@weir/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { doubling } from './faulty-networks.fixture.ts';
import { startTestWorker, type TestWorker } from './worker.fixture.ts';

const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;

let home: string;
let worker: TestWorker;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'weir-home-'));
  await chmod(home, 0o755);
  await mkdir(path.join(home, 'keys'), { mode: 0o700 });
  await writeFile(path.join(home, 'keys', 'worker.json'), 'secret', { mode: 0o600 });
});
afterEach(async () => {
  await worker.close();
  await rm(home, { recursive: true, force: true });
});

const cache = (): string => path.join(home, 'worker');
const start = (environment: Readonly<Record<string, string>> = {}): Promise<TestWorker> =>
  startTestWorker({ WEIR_WORKER_CACHE_DIR: cache(), ...environment });

async function placed(modelId: string, ownerTenantId: string): Promise<PlacementState> {
  // Equal packages: what is kept by digest is shared, what a process reads is not.
  const placement = await worker.place(modelId, 'tensors', new Map([['model.onnx', doubling]]), { ownerTenantId });
  await worker.announced(placement.versionId, 'ready');
  return placement;
}

/** Process id and user id of each serving process of this worker, by process id. */
async function servingProcesses(): Promise<{ pid: number; uid: number; gid: number; groups: string; noNewPrivileges: boolean }[]> {
  const found = [];
  for (const name of await readdir('/proc')) {
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (!command.includes('serving/main') || Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]) !== process.pid) continue;
    const field = (label: string): string => new RegExp(`^${label}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
    const [uid = -1, gid = -1] = ['Uid', 'Gid'].map((label) => Number.parseInt(field(label), 10));
    found.push({ pid: Number(name), uid, gid, groups: field('Groups').trim(), noNewPrivileges: field('NoNewPrivs') === '1' });
  }
  return found.sort((a, b) => a.pid - b.pid);
}

/** Can code that runs as this user read the file, or list the folder? */
function canRead({ uid, gid }: { uid: number; gid: number }, file: string): boolean {
  const script = 'if [ -d "$0" ]; then ls "$0"; else head -c 1 "$0"; fi';
  return spawnSync('/bin/sh', ['-c', script, file], { uid, gid, stdio: 'ignore', cwd: '/' }).status === 0;
}

if (isRootOnLinux)
  describe('serving processes of a worker that runs as root', () => {
    it('run as a user of their own for each trust class, without groups and the way to other privileges', async () => {
      worker = await start();
      for (const tenant of ['acme', 'globex']) await placed(`model-of-${tenant}`, tenant);
      const processes = await servingProcesses();
      expect(processes.map(({ uid, gid, groups }) => ({ uid, gid, groups }))).toEqual([
        { uid: 64_200, gid: 64_200, groups: '' },
        { uid: 64_201, gid: 64_201, groups: '' },
      ]);
      expect(processes.every(({ noNewPrivileges }) => noNewPrivileges)).toBe(true);
      for (const tenant of ['acme', 'globex'])
        expect(
          (await worker.infer(`model-of-${tenant}`, { inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] })).status,
        ).toBe(200);
    });

    it('read the files of their own models, and no keys, no other files of the platform, nothing of each other', async () => {
      worker = await start();
      for (const tenant of ['acme', 'globex']) await placed(`model-of-${tenant}`, tenant);
      const [acme, globex] = await servingProcesses();
      if (acme === undefined || globex === undefined) throw new Error('two processes are running');
      const folders = (await readdir(path.join(cache(), 'packages'))).map((name) => path.join(cache(), 'packages', name));
      const folderOf = ({ gid }: { gid: number }): string => folders.find((folder) => folder.endsWith(`-${gid}`)) ?? '';
      const flights = (await readdir(path.join(cache(), 'flights'))).map((name) => path.join(cache(), 'flights', name));
      const [blob = ''] = await readdir(path.join(cache(), 'blobs'));

      expect(canRead(acme, path.join(folderOf(acme), 'model.onnx'))).toBe(true);
      for (const file of [
        path.join(home, 'keys'),
        path.join(home, 'keys', 'worker.json'),
        cache(),
        path.join(cache(), 'packages'),
        path.join(cache(), 'blobs', blob),
        folderOf(globex),
        path.join(folderOf(globex), 'model.onnx'),
        `/proc/${process.pid}/environ`,
        `/proc/${globex.pid}/environ`,
        `/proc/${globex.pid}/mem`,
      ])
        expect(canRead(acme, file), file).toBe(false);
      expect(flights.map((file) => canRead(acme, file)).sort()).toEqual([false, true]);
    });

    it('run as root where the operator says so', async () => {
      worker = await start({ WEIR_WORKER_SERVING_UID_BASE: '0' });
      await placed('model', 'acme');
      expect((await servingProcesses()).map(({ uid }) => uid)).toEqual([0]);
    });

    it('run as root, and the worker says so, where their own user cannot reach the model files', async () => {
      await chmod(home, 0o700);
      const lines: string[] = [];
      worker = await startTestWorker({ WEIR_WORKER_CACHE_DIR: cache() }, (line) => lines.push(line));
      await placed('model', 'acme');
      expect((await servingProcesses()).map(({ uid }) => uid)).toEqual([0]);
      expect(lines.join('')).toContain('an account of their own cannot reach what they need');
    });
  });

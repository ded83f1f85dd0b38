import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@weir/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { doubling } from './faulty-networks.fixture.ts';
import { startTestWorker, type TestWorker } from './worker.fixture.ts';

let cache: string;
const workers: TestWorker[] = [];
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'weir-worker-'));
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.close();
  await rm(cache, { recursive: true, force: true });
});

it('a worker that is started again is ready when the versions placed on it are loaded, not before', async () => {
  const environment = { WEIR_WORKER_CACHE_DIR: cache };
  const first = await startTestWorker(environment);
  workers.push(first);
  for (const model of ['one', 'two']) {
    const { versionId } = await first.place(model, 'tensors', new Map([['model.onnx', doubling]]));
    await first.announced(versionId, 'ready');
  }
  await first.stop();
  const second = await startTestWorker(environment, undefined, { database: first.database });
  workers.push(second);
  await eventually(async () => (await second.supervisor('/health/ready', { principal: null })).status === 200, { timeoutMs: 60_000 });
  expect(await (await second.get('/metrics', {})).text()).toMatch(/^weir_worker_placements_total\{outcome="ready".*\} 2$/m);
});

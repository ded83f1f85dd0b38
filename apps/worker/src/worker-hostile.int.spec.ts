import type { PlacementState, WorkerState } from '@weir/contracts';
import { eventually, hostilePackages, identityNetwork, type HostilePackage } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestWorker, type TestWorker } from './worker.fixture.ts';

/** Long enough for a harmless model on a machine that is busy with other things. */
const RUN_LIMIT_MS = 2_000;
/** A package may be tried three times, each until the run limit, with a new process in between. */
const PATIENCE = { timeoutMs: 120_000 };

let worker: TestWorker;
let neighbour: PlacementState;
let neighbourUrl: string | undefined;

beforeAll(async () => {
  worker = await startTestWorker({ WEIR_WORKER_RUN_LIMIT_MS: String(RUN_LIMIT_MS), WEIR_WORKER_MEMORY_BYTES: String(256 * 2 ** 20) });
  const place = (model: string, ownerTenantId: string): Promise<PlacementState> =>
    worker.place(model, 'tensors', new Map([['model.onnx', identityNetwork()]]), { ownerTenantId });
  neighbour = await place('neighbour', 'acme');
  neighbourUrl = (await worker.announced(neighbour.versionId, 'ready')).url;
  // Keeps the process of the packages that follow, so that each of them need not start one.
  await worker.announced((await place('anchor', 'mallory')).versionId, 'ready');
}, PATIENCE.timeoutMs);

afterAll(() => worker.close());

const neighbourAnswers = async (): Promise<number> =>
  (await worker.infer('neighbour', { inputs: [{ name: 'x', shape: [2], datatype: 'FP32', data: [1, 2] }] })).status;

/** The answer's status, or 0 when the connection broke because the process ended. */
const called = (name: string, { call }: HostilePackage): Promise<number> =>
  worker.infer(name, call, { 'x-weir-timeout-ms': '3000' }).then(
    ({ status }) => status,
    () => 0,
  );

type Version = WorkerState['versions'][number];

describe('a package that comes to a worker past the registry', () => {
  it.each(hostilePackages().map((one) => [one.what, one] as const))(
    '%s: is refused or contained, and the neighbours notice nothing',
    async (_, hostile) => {
      const placement = await worker.place(hostile.name, 'tensors', hostile.files, { ownerTenantId: 'mallory' });
      const settled = await eventually(
        (): Version | undefined =>
          worker.worker()?.versions.find(({ versionId, state }) => versionId === placement.versionId && state !== 'loading'),
        PATIENCE,
      );
      if (hostile.expect === 'refused-at-load' || hostile.expect === 'contained-at-load') expect(settled.state).toBe('failed');
      if (settled.state === 'failed') expect(settled.error).not.toMatch(/\/tmp|\/etc|weir-worker/);
      if (settled.state === 'ready' && hostile.call !== null) {
        const status = await called(hostile.name, hostile);
        if (hostile.expect === 'served') expect(status).toBe(200);
        else if (hostile.runtime !== 'answers') expect(status === 0 || status >= 400).toBe(true);
      }
      expect(await neighbourAnswers()).toBe(200);
      await worker.unplace(placement);
      await eventually(() => worker.worker()?.versions.every(({ versionId }) => versionId !== placement.versionId), PATIENCE);
    },
    PATIENCE.timeoutMs * 2,
  );

  it('has not moved them', async () => {
    expect(await neighbourAnswers()).toBe(200);
    expect(worker.urlOf(neighbour)).toBe(neighbourUrl);
  });
});

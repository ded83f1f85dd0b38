import { aPrincipal, anOperator, eventually, onnxModel } from '@weir/testing';
import type { PlacementState } from '@weir/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestWorker, type TestWorker } from './worker.fixture.ts';

let worker: TestWorker;
const placements = new Map<string, PlacementState>();

/** y = x + x */
const doubling = onnxModel({
  inputs: [{ name: 'x', dims: ['n'] }],
  outputs: [{ name: 'y', dims: ['n'] }],
  nodes: [{ operator: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
});
const numbers = (...data: number[]) => ({ inputs: [{ name: 'x', shape: [data.length], datatype: 'FP32', data }] });

async function placed(model: string, ownerTenantId: string): Promise<PlacementState> {
  const placement = await worker.place(model, 'tensors', new Map([['model.onnx', doubling]]), { ownerTenantId });
  await worker.announced(placement.versionId, 'ready');
  placements.set(model, placement);
  return placement;
}

/** Where a model's calls go: models whose process was stopped share the address that starts it again. */
function urlOf(model: string): string | undefined {
  const placement = placements.get(model);
  return placement === undefined ? undefined : worker.urlOf(placement);
}

beforeAll(async () => {
  // A slot for public models and two for tenants.
  worker = await startTestWorker({ WEIR_WORKER_MAX_PROCESSES: '3' });
});

afterAll(() => worker.close());

describe('serving processes that are all in use by tenants', () => {
  const tenants = ['a', 'b', 'c', 'd'];

  it('do not keep the first model of another tenant, or a public one, from being loaded', { timeout: 120_000 }, async () => {
    for (const tenant of tenants) await placed(`of-${tenant}`, tenant);
    await placed('public', 'platform');
    for (const tenant of tenants) await worker.announced(placements.get(`of-${tenant}`)?.versionId ?? '', 'ready');
    // Two tenants have processes of their own; the others' were stopped.
    await eventually(() => new Set([...tenants.map((tenant) => urlOf(`of-${tenant}`)), urlOf('public')]).size === 4);
  });

  it('are started again by the next call of a model, which waits for it; calls of others at the same time too', async () => {
    const answers = await Promise.all(tenants.map((tenant) => worker.infer(`of-${tenant}`, numbers(1, 2))));
    expect(answers.map(({ status, body }) => [status, body.outputs?.[0]?.data])).toEqual(tenants.map(() => [200, [2, 4]]));
    expect(await worker.infer('public', numbers(3))).toMatchObject({ status: 200 });
  });

  it('ask who calls as the processes themselves do: without a token nothing is started', async () => {
    const stopped = await eventually(() =>
      tenants.find((tenant) => tenants.some((other) => other !== tenant && urlOf(`of-${other}`) === urlOf(`of-${tenant}`))),
    );
    const url = urlOf(`of-${stopped}`);
    const answer = await fetch(`${url}/v2/models/of-${stopped}/infer`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(401);
    expect(urlOf(`of-${stopped}`)).toBe(url);
    const body = JSON.stringify(numbers(1));
    const headers = { 'content-type': 'application/json' };
    const unknown = await worker.request(`/v2/models/of-${stopped}/versions/none/infer`, {
      principal: anOperator(),
      method: 'POST',
      headers,
      body,
    });
    expect([unknown.status, unknown.headers.get('x-weir-error-code')]).toEqual([404, 'model.not_found']);
    for (const path of ['/v2/repository/index', `/v2/repository/models/of-${stopped}/load`]) {
      const refused = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: { ...headers, 'x-weir-internal-token': await worker.token(aPrincipal()) },
        body: '{}',
      });
      expect(refused.status, path).toBe(403);
    }
  });

  it('announce what loading each version took', async () => {
    const versions = worker.worker()?.versions ?? [];
    expect(versions).toHaveLength(5);
    for (const { memoryBytes } of versions) expect(memoryBytes).toEqual(expect.any(Number));
  });
});

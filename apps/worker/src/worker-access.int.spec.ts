import { servicePrincipal, type Principal } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { anOperator, aPrincipal, eventually } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { doubling } from './faulty-networks.fixture.ts';
import { startTestWorker, type TestWorker } from './worker.fixture.ts';

const [owner, stranger] = [aPrincipal({ tenantId: 'acme' }), aPrincipal({ tenantId: 'globex' })];
/** A service for itself: it has no scopes and no tenant's rights. */
const gateway = servicePrincipal('gateway');
const operator = anOperator();

let worker: TestWorker;
let own: PlacementState;

beforeAll(async () => {
  worker = await startTestWorker();
  const place = async (modelId: string, over: Partial<PlacementState>): Promise<PlacementState> => {
    const placement = await worker.place(modelId, 'tensors', new Map([['model.onnx', doubling]]), { ownerTenantId: 'acme', ...over });
    await worker.announced(placement.versionId, 'ready');
    return placement;
  };
  own = await place('own', { visibility: 'private' });
  await place('shown', { visibility: 'public' });
  await place('earlier', {});
});
afterAll(() => worker.close());

const rows = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] });

async function ask(path: string, principal: Principal, method: 'GET' | 'POST' = 'GET'): Promise<number | string> {
  const headers = { 'content-type': 'application/json' };
  const response = await worker.request(path, { principal, method, headers, ...(path.endsWith('/infer') ? { body: rows } : {}) });
  await response.arrayBuffer();
  return response.headers.get('x-weir-error-code') ?? response.status;
}

describe("another tenant's private version", () => {
  it.each([
    ['', 'GET'],
    ['/ready', 'GET'],
    ['/infer', 'POST'],
    ['/versions/1.0.1', 'GET'],
    ['/versions/1.0.1/ready', 'GET'],
    ['/versions/1.0.1/infer', 'POST'],
  ] as const)('does not exist at …/models/{id}%s, also for a service’s own token', async (path, method) => {
    expect(await ask(`/v2/models/own${path}`, stranger, method)).toBe('model.not_found');
    expect(await ask(`/v2/models/own${path}`, gateway, method)).toBe('model.not_found');
    expect(await ask(`/v2/models/own${path}`, owner, method)).toBe(200);
    expect(await ask(`/v2/models/own${path}`, operator, method)).toBe(200);
  });

  it('is found once its model is public, and no longer when it is private again; the version stays loaded', async () => {
    const url = worker.urlOf(own);
    await worker.publish({ ...own, visibility: 'public' });
    await eventually(async () => (await ask('/v2/models/own/infer', stranger, 'POST')) === 200);
    await worker.publish(own);
    await eventually(async () => (await ask('/v2/models/own/infer', stranger, 'POST')) === 'model.not_found');
    expect(worker.urlOf(own)).toBe(url);
  });
});

describe('a public version, and one whose placement does not say', () => {
  it.each(['shown', 'earlier'])('answers every tenant: %s', async (model) => {
    for (const principal of [owner, stranger, gateway, operator])
      expect(await ask(`/v2/models/${model}/infer`, principal, 'POST')).toBe(200);
  });
});

describe('the operations of operators', () => {
  it.each([
    ['/v2/repository/index', 'POST'],
    ['/v2/models/shown/stats', 'GET'],
    ['/v2/models/shown/versions/1.0.2/stats', 'GET'],
    ['/v2/repository/models/shown/load', 'POST'],
    ['/v2/repository/models/shown/unload', 'POST'],
  ] as const)('are refused to tenants and services: %s', async (path, method) => {
    for (const principal of [owner, stranger, gateway]) expect(await ask(path, principal, method)).toBe('access.forbidden');
    expect(await ask(path, operator, method)).toBe(200);
  });

  it('are refused to tenants and services at the supervisor too, which answers for versions that no process has', async () => {
    for (const what of ['load', 'unload']) {
      const path = `/v2/repository/models/own/${what}`;
      const status = async (principal: Principal | null) => (await worker.supervisor(path, { principal, method: 'POST' })).status;
      expect([await status(owner), await status(stranger), await status(gateway), await status(null)]).toEqual([403, 403, 403, 401]);
      expect(await status(operator)).toBe(200);
    }
  });
});

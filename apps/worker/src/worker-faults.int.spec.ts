import type { Principal } from '@weir/access';
import { anOperator, aPrincipal, eventually, onnxModel, TestClock } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { deadlyToLoad, dividing, doubling, endless, looping } from './faulty-networks.fixture.ts';
import { starterPackage, startTestWorker, type InferenceAnswer, type TestWorker } from './worker.fixture.ts';

let worker: TestWorker;
afterEach(() => worker.close());

/** Longest wait for a process to be started again, on a machine that is busy with other things. */
const RESTART = { timeoutMs: 60_000 };

const packageOf = (model: Buffer): Map<string, Buffer> => new Map([['model.onnx', model]]);

const floats = (...data: number[]) => ({ inputs: [{ name: 'x', shape: [data.length], datatype: 'FP32', data }] });
const rows = (...data: number[]) => ({ inputs: [{ name: 'x', shape: [data.length / 2, 2], datatype: 'FP32', data }] });
const division = (a: number, b: number) => ({
  inputs: [
    { name: 'a', shape: [1], datatype: 'INT32', data: [a] },
    { name: 'b', shape: [1], datatype: 'INT32', data: [b] },
  ],
});
const DEADLY = division(-2_147_483_648, -1);

async function placed(modelId: string, model: Buffer, ownerTenantId = 'platform') {
  const placement = await worker.place(modelId, 'tensors', packageOf(model), { ownerTenantId });
  await worker.announced(placement.versionId, 'ready');
  return placement;
}

const operator = anOperator();
const control = (what: 'load' | 'unload', model: string, principal: Principal) =>
  worker.request(`/v2/repository/models/${model}/${what}`, { method: 'POST', principal });

describe('calls that end the process of a public model', () => {
  const [acme, globex] = [aPrincipal({ tenantId: 'acme' }), aPrincipal({ tenantId: 'globex' })];
  const codeOf = ({ status, headers }: InferenceAnswer) => headers.get('x-weir-error-code') ?? status;
  const call = (model: string, body: unknown, principal: Principal) =>
    worker.infer(model, body, {}, undefined, principal).then(codeOf, () => 'lost');
  /** Answers again, within the time that a process takes to start. */
  const answers = (model: string, body: unknown, principal: Principal) =>
    eventually(async () => (await call(model, body, principal)) === 200, RESTART);

  it('are refused to their tenant for a back-off that ends; other tenants are answered within seconds; load revives', async () => {
    const clock = new TestClock();
    worker = await startTestWorker({}, undefined, { clock });
    const [neighbour, deadly] = [await placed('neighbour', doubling), await placed('deadly', dividing)];

    // Concurrent calls of both tenants: whoever was running beside the crash is not refused.
    for (let round = 0; round < 4; round++) {
      await Promise.all([
        ...Array.from({ length: 5 }, () => call('deadly', DEADLY, globex)),
        ...Array.from({ length: 5 }, () => call('deadly', division(7, 2), acme)),
        ...Array.from({ length: 5 }, () => call('neighbour', rows(1, 2), acme)),
      ]);
      await answers('deadly', division(7, 2), acme);
      await answers('neighbour', rows(1, 2), acme);
    }
    const refused = await worker.infer('deadly', DEADLY, {}, undefined, globex);
    expect(codeOf(refused)).toBe('model.input_refused');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(1);
    expect(refused.body.error).toContain('crashed or hung the model');
    // Calls of another size, and of other tenants, are not meant.
    const wide = (n: number) => division(0, 1).inputs.map((input) => ({ ...input, shape: [n], data: Array.from({ length: n }, () => 6) }));
    await answers('deadly', { inputs: wide(64) }, globex);
    await answers('deadly', division(7, 2), acme);
    expect(worker.urlOf(deadly)).toBe(worker.urlOf(neighbour));

    clock.advance(5 * 60_000);
    await answers('deadly', division(9, 3), globex);
    expect(await call('deadly', DEADLY, globex)).toBe('lost');
    await eventually(async () => (await call('deadly', division(9, 3), globex)) === 'model.input_refused', RESTART);
    expect((await control('load', 'deadly', globex)).status).toBe(403);
    expect((await control('load', 'deadly', operator)).status).toBe(200);
    await answers('deadly', division(9, 3), globex);
  });
});

describe('a version that ends the process that loads it', () => {
  it('is quarantined for a back-off that ends; its neighbours are not moved; load tries it at once', async () => {
    let advancedMs = 0;
    const clock = { now: () => Date.now() + advancedMs };
    worker = await startTestWorker({}, undefined, { clock });
    const neighbour = await placed('neighbour', doubling);
    const deadly = await worker.place('deadly', 'tensors', packageOf(deadlyToLoad));
    const quarantined = async (crashes: number) => {
      const text = `The model crashed or hung the process that loaded it ${crashes} times in a row. It is loaded again at `;
      const { error } = await worker.announced(deadly.versionId, 'failed', (version) => version.error?.startsWith(text) === true);
      return Math.round((Date.parse(error?.slice(text.length, -1) ?? '') - clock.now()) / 60_000);
    };
    expect(await quarantined(3)).toBe(1);
    await eventually(async () => (await worker.infer('neighbour', rows(1, 2)).catch(() => null))?.status === 200, RESTART);
    const url = worker.urlOf(neighbour);

    // The back-off ends, and the next one is twice as long.
    advancedMs += 60_000;
    const other = await placed('other', doubling);
    expect(await quarantined(4)).toBe(2);

    // An operator does not wait for it; the count begins again.
    expect((await worker.request('/v2/repository/models/deadly/load', { method: 'POST', principal: aPrincipal() })).status).toBe(403);
    const asked = await worker.request('/v2/repository/models/deadly/load', { method: 'POST', principal: operator });
    expect(asked.status).toBe(503);
    expect(await quarantined(3)).toBe(1);
    expect([worker.urlOf(neighbour), worker.urlOf(other)]).toEqual([url, url]);
  }, 60_000);
});

describe('a model that ends its process', () => {
  it('of another tenant is nobody else’s concern', async () => {
    worker = await startTestWorker();
    const [own, foreign] = [await placed('own', doubling, 'acme'), await placed('foreign', dividing, 'globex')];
    const url = worker.urlOf(own);
    expect(url).not.toBe(worker.urlOf(foreign));
    await Promise.all([
      expect(worker.infer('foreign', DEADLY)).rejects.toThrow(),
      ...Array.from({ length: 20 }, async () => expect((await worker.infer('own', rows(1, 2))).status).toBe(200)),
    ]);
    await eventually(() => worker.urlOf(foreign) !== undefined, RESTART);
    expect(worker.urlOf(own)).toBe(url);
  });

  it('while it is loaded is told as failed, and the others are served', async () => {
    worker = await startTestWorker({ WEIR_WORKER_RUN_LIMIT_MS: '1000' });
    const neighbour = await placed('neighbour', doubling);
    const hanging = await worker.place('hanging', 'tensors', packageOf(endless));
    await worker.announced(hanging.versionId, 'failed');
    await worker.announced(neighbour.versionId, 'ready');
    expect((await worker.infer('neighbour', rows(1, 1))).status).toBe(200);
  });
});

describe('a load that never ends', () => {
  it('holds up no other tenant’s', async () => {
    worker = await startTestWorker();
    const hanging = await worker.place('hanging', 'tensors', packageOf(endless), { ownerTenantId: 'globex' });
    await worker.announced(hanging.versionId, 'loading');
    await placed('quick', doubling, 'acme');
    expect((await worker.infer('quick', rows(1, 2))).status).toBe(200);
    await worker.announced(hanging.versionId, 'loading');
  });
});

describe('a run that never ends', () => {
  it('is an error for its callers in time; neighbours go on in the old process until the new one is ready', async () => {
    worker = await startTestWorker({ WEIR_WORKER_RUN_LIMIT_MS: '1500', WEIR_WORKER_SLOTS: '2' });
    const [neighbour, looper] = [await placed('neighbour', doubling), await placed('looper', looping)];
    const url = worker.urlOf(neighbour);
    expect((await worker.infer('looper', floats(1, 2))).status).toBe(200);
    const hung = worker.infer('looper', floats(-1), { 'x-weir-timeout-ms': '60000' });
    let statuses = new Set<number>();
    const isMoved = (): boolean => worker.urlOf(neighbour) !== undefined && worker.urlOf(neighbour) !== url;
    await eventually(async () => {
      statuses = statuses.add((await worker.infer('neighbour', rows(1, 2))).status);
      return isMoved();
    }, RESTART);
    expect(await hung).toMatchObject({ status: 504 });
    expect([...statuses]).toEqual([200]);
    await eventually(() => worker.urlOf(looper) !== undefined, RESTART);
    expect((await worker.infer('looper', floats(3))).headers.get('x-weir-error-code')).toBe('model.input_refused');
    expect((await worker.infer('looper', floats(3), {}, undefined, aPrincipal())).status).toBe(200);
  });
});

describe('memory', () => {
  it('for fewer models than are placed is shared: the longest unused one is unloaded, and loaded when it is called', async () => {
    const digits = await starterPackage('digits');
    worker = await startTestWorker({ WEIR_WORKER_MEMORY_BYTES: '6000000' });
    const names = ['first', 'second', 'third'];
    for (const name of names) {
      const placement = await worker.place(name, 'tensors', digits);
      await worker.announced(placement.versionId, 'ready');
    }
    const blank = {
      inputs: [{ name: 'pixel_values', shape: [1, 1, 28, 28], datatype: 'FP32', data: Array.from({ length: 784 }, () => 0) }],
    };
    for (let round = 0; round < 2; round++) for (const name of names) expect((await worker.infer(name, blank)).status).toBe(200);
    const metrics = await (await worker.get('/metrics', {})).text();
    const loads = names.map((name) =>
      Number(new RegExp(`^weir_model_loads_total\\{model="${name}".*outcome="ready".*\\} (\\d+)$`, 'm').exec(metrics)?.[1]),
    );
    expect(Math.max(...loads)).toBeGreaterThan(1);
  });
});

describe('a model that nobody calls', () => {
  it('leaves memory after the time that the operator set, and answers the next call', async () => {
    worker = await startTestWorker({ WEIR_WORKER_IDLE_UNLOAD_MS: '1' });
    await placed('forgotten', doubling);
    const index = async (): Promise<unknown> =>
      (await worker.request('/v2/repository/index', { method: 'POST', principal: anOperator() })).json();
    await eventually(async () => JSON.stringify(await index()).includes('UNAVAILABLE'), RESTART);
    expect((await worker.infer('forgotten', rows(1, 2))).status).toBe(200);
  });
});

describe('an operator', () => {
  it('unloads a model and loads it again; calls in between are answered, and nobody else may', async () => {
    worker = await startTestWorker();
    await placed('doubling', doubling);
    expect((await control('unload', 'doubling', aPrincipal({ tenantId: 'acme' }))).status).toBe(403);
    const calls = Promise.all(Array.from({ length: 40 }, () => worker.infer('doubling', rows(1, 2))));
    expect((await control('unload', 'doubling', operator)).status).toBe(200);
    expect((await calls).map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 200));
    expect((await control('unload', 'doubling', operator)).status).toBe(200);
    expect((await worker.infer('doubling', rows(3, 4))).body.outputs?.[0]?.data).toEqual([6, 8]);
    expect((await control('load', 'doubling', operator)).status).toBe(200);
    expect((await control('load', 'nothing', operator)).status).toBe(404);
  });
});

describe('rows of different callers', () => {
  it('share a run, and nobody is refused for a neighbour', async () => {
    worker = await startTestWorker();
    const gather = onnxModel({
      inputs: [{ name: 'index', type: 'int64', dims: ['batch', 1] }],
      outputs: [{ name: 'y', dims: ['batch', 1] }],
      initialisers: [{ name: 'table', dims: [4], data: [10, 20, 30, 40] }],
      nodes: [{ operator: 'Gather', inputs: ['table', 'index'], outputs: ['y'] }],
    });
    await placed('lookup', gather);
    const at = (index: number) => ({ inputs: [{ name: 'index', shape: [1, 1], datatype: 'INT64', data: [index] }] });
    const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => worker.infer('lookup', at(index === 30 ? 99 : index % 4))));
    expect(answers[30]?.status).toBe(400);
    for (const [index, answer] of answers.entries())
      if (index !== 30) expect(answer.body.outputs?.[0]?.data).toEqual([10 * ((index % 4) + 1)]);
    const metrics = await (await worker.get('/metrics', {})).text();
    const [runs, sum] = ['count', 'sum'].map((what) =>
      Number(new RegExp(`^weir_model_batch_rows_${what}\\{model="lookup".*\\} (\\d+)$`, 'm').exec(metrics)?.[1]),
    );
    expect(sum).toBeGreaterThan(runs ?? Infinity);
  });
});

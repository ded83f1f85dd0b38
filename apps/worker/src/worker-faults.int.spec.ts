import type { Principal } from '@weir/access';
import { anOperator, aPrincipal, eventually, onnxModel, type OnnxGraph } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { starterPackage, startTestWorker, type TestWorker } from './worker.fixture.ts';

let worker: TestWorker;
afterEach(() => worker.close());

/** Longest wait for a process to be started again, on a machine that is busy with other things. */
const RESTART = { timeoutMs: 60_000 };

const packageOf = (model: Buffer): Map<string, Buffer> => new Map([['model.onnx', model]]);

/** y = x + x, for rows of any number. */
const doubling = onnxModel({
  inputs: [{ name: 'x', dims: ['batch', 2] }],
  outputs: [{ name: 'y', dims: ['batch', 2] }],
  nodes: [{ operator: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
});

/** y = a / b in whole numbers: the least number by -1 is more than there are, and the processor ends the process. */
const dividing = onnxModel({
  inputs: [
    { name: 'a', type: 'int32', dims: ['n'] },
    { name: 'b', type: 'int32', dims: ['n'] },
  ],
  outputs: [{ name: 'y', type: 'int32', dims: ['n'] }],
  nodes: [{ operator: 'Div', inputs: ['a', 'b'], outputs: ['y'] }],
});

const loopBody: OnnxGraph = {
  inputs: [
    { name: 'iteration', type: 'int64', dims: [] },
    { name: 'go', type: 'bool', dims: [] },
    { name: 'value', dims: ['n'] },
  ],
  outputs: [
    { name: 'go_on', type: 'bool', dims: [] },
    { name: 'next', dims: ['n'] },
  ],
  nodes: [
    { operator: 'Identity', inputs: ['go'], outputs: ['go_on'] },
    { operator: 'Identity', inputs: ['value'], outputs: ['next'] },
  ],
};

/** Goes round for ever when its number is below zero. */
const looping = onnxModel({
  inputs: [{ name: 'x', dims: ['n'] }],
  outputs: [{ name: 'y', dims: ['n'] }],
  initialisers: [
    { name: 'zero', dims: [], data: [0] },
    { name: 'for_ever', type: 'int64', dims: [], data: [9_223_372_036_854_775_807n] },
  ],
  nodes: [
    { operator: 'ReduceMin', inputs: ['x'], outputs: ['least'], attributes: { keepdims: { int: 0 } } },
    { operator: 'Less', inputs: ['least', 'zero'], outputs: ['is_below'] },
    { operator: 'Loop', inputs: ['for_ever', 'is_below', 'x'], outputs: ['y'], attributes: { body: { graph: loopBody } } },
  ],
});

/** Goes round for ever whatever it is given. */
const endless = onnxModel({
  inputs: [{ name: 'x', dims: ['n'] }],
  outputs: [{ name: 'y', dims: ['n'] }],
  initialisers: [
    { name: 'for_ever', type: 'int64', dims: [], data: [9_223_372_036_854_775_807n] },
    { name: 'yes', type: 'bool', dims: [], data: Uint8Array.of(1) },
  ],
  nodes: [{ operator: 'Loop', inputs: ['for_ever', 'yes', 'x'], outputs: ['y'], attributes: { body: { graph: loopBody } } }],
});

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

describe('a model that ends its process', () => {
  it('takes nobody along for long: neighbours answer again, it gets a process of its own, and is given up at last', async () => {
    worker = await startTestWorker();
    const [neighbour, deadly] = [await placed('neighbour', doubling), await placed('deadly', dividing)];
    expect(worker.urlOf(neighbour)).toBe(worker.urlOf(deadly));
    expect((await worker.infer('deadly', division(7, 2))).body.outputs?.[0]?.data).toEqual([3]);

    await expect(worker.infer('deadly', DEADLY)).rejects.toThrow();
    await eventually(
      () => worker.urlOf(deadly) !== undefined && worker.urlOf(neighbour) !== undefined && worker.urlOf(deadly) !== worker.urlOf(neighbour),
      RESTART,
    );
    expect((await worker.infer('neighbour', rows(1, 2))).body.outputs?.[0]?.data).toEqual([2, 4]);

    const neighbourUrl = worker.urlOf(neighbour);
    for (let crash = 0; crash < 2; crash++) {
      const before = await eventually(() => worker.urlOf(deadly), RESTART);
      await expect(worker.infer('deadly', DEADLY)).rejects.toThrow();
      await eventually(() => worker.urlOf(deadly) !== before, RESTART);
    }
    const failed = await worker.announced(deadly.versionId, 'failed');
    expect(failed.error).toBe('The model crashed or hung the process that ran it several times.');
    expect(worker.urlOf(neighbour)).toBe(neighbourUrl);
    expect((await worker.infer('neighbour', rows(3, 4))).status).toBe(200);
  });

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
    await eventually(() => worker.urlOf(looper) !== undefined && worker.urlOf(looper) !== worker.urlOf(neighbour), RESTART);
    expect((await worker.infer('looper', floats(3))).status).toBe(200);
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
  const operator = anOperator();
  const control = (what: 'load' | 'unload', model: string, principal: Principal) =>
    worker.request(`/v2/repository/models/${model}/${what}`, { method: 'POST', principal });

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

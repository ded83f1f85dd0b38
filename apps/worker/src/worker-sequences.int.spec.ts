import { aPrincipal, eventually, onnxModel } from '@weir/testing';
import type { PlacementState } from '@weir/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { looping } from './faulty-networks.fixture.ts';
import { startTestWorker, type TestWorker } from './worker.fixture.ts';

let worker: TestWorker;
let placement: PlacementState;

/** A running sum: `sum = state + x`, and the state is the sum. */
const summing = onnxModel({
  inputs: [
    { name: 'x', dims: [1] },
    { name: 'state', dims: [1] },
  ],
  outputs: [
    { name: 'sum', dims: [1] },
    { name: 'next', dims: [1] },
  ],
  nodes: [
    { operator: 'Add', inputs: ['x', 'state'], outputs: ['sum'] },
    { operator: 'Identity', inputs: ['sum'], outputs: ['next'] },
  ],
});
const settings = { task: 'tensors', state: [{ input: 'state', output: 'next', shape: [1] }] };

beforeAll(async () => {
  worker = await startTestWorker({ WEIR_WORKER_MAX_SEQUENCES: '3', WEIR_WORKER_RUN_LIMIT_MS: '1500', WEIR_WORKER_SLOTS: '2' });
  const files = new Map([
    ['model.onnx', summing],
    ['weir.json', Buffer.from(JSON.stringify(settings))],
  ]);
  placement = await worker.place('sum', 'tensors', files);
  await worker.announced(placement.versionId, 'ready');
});
afterAll(() => worker.close());

const acme = aPrincipal({ tenantId: 'acme' });
const globex = aPrincipal({ tenantId: 'globex' });

async function add(x: number, parameters: Record<string, unknown>, principal = acme) {
  const body = { parameters, inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [x] }] };
  const answer = await worker.infer('sum', body, {}, undefined, principal);
  return answer.status === 200 ? answer.body.outputs?.find(({ name }) => name === 'sum')?.data[0] : answer.headers.get('x-weir-error-code');
}

describe('the calls of a sequence', () => {
  it('go on from the state of the one before, until it ends', async () => {
    expect(await add(1, { sequence_id: 7, sequence_start: true })).toBe(1);
    expect(await add(2, { sequence_id: 7 })).toBe(3);
    expect(await add(3, { sequence_id: 7, sequence_end: true })).toBe(6);
    expect(await add(4, { sequence_id: 7 })).toBe('sequence.lost');
  });

  it('are one tenant’s: the same name is another sequence for another tenant', async () => {
    expect(await add(5, { sequence_id: 'mine', sequence_start: true })).toBe(5);
    expect(await add(1, { sequence_id: 'mine' }, globex)).toBe('sequence.lost');
    expect(await add(9, { sequence_id: 'mine', sequence_start: true }, globex)).toBe(9);
    expect(await add(1, { sequence_id: 'mine' })).toBe(6);
  });

  it('that a tenant has too many of are lost, the longest unused first, and never silently begun anew', async () => {
    for (const id of ['a', 'b', 'c', 'd']) expect(await add(1, { sequence_id: id, sequence_start: true })).toBe(1);
    expect(await add(1, { sequence_id: 'a' })).toBe('sequence.lost');
    expect(await add(1, { sequence_id: 'd' })).toBe(2);
  });

  it('sent at once are run one after the other', async () => {
    await add(0, { sequence_id: 'many', sequence_start: true });
    const sums = await Promise.all([1, 1, 1, 1, 1].map((x) => add(x, { sequence_id: 'many' })));
    expect(sums.map(Number).sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it('may pass their state themselves instead', async () => {
    expect(await add(3, {})).toBe(3);
  });

  it('go on from their state when their process is replaced', async () => {
    const looper = await worker.place('looper', 'tensors', new Map([['model.onnx', looping]]));
    await worker.announced(looper.versionId, 'ready');
    expect(worker.urlOf(looper)).toBe(worker.urlOf(placement));
    expect(await add(5, { sequence_id: 'kept', sequence_start: true })).toBe(5);
    expect(await add(7, { sequence_id: 'kept', sequence_start: true }, globex)).toBe(7);
    const url = worker.urlOf(placement);
    const hung = worker.infer('looper', { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [-1] }] });
    // Calls meanwhile are answered, or refused in a way that can be retried.
    let sum = 5;
    const isMoved = (): boolean => worker.urlOf(placement) !== undefined && worker.urlOf(placement) !== url;
    for (let calls = 0; calls < 1_000 && !isMoved(); calls++) {
      const answer = await add(1, { sequence_id: 'kept' });
      if (answer === sum + 1) sum += 1;
      else expect(answer).toBe('worker.overloaded');
    }
    await eventually(isMoved, { timeoutMs: 60_000 });
    expect(await add(1, { sequence_id: 'kept' })).toBe(sum + 1);
    expect(await add(1, { sequence_id: 'kept' }, globex)).toBe(8);
    expect((await hung).status).toBe(504);
  }, 90_000);
});

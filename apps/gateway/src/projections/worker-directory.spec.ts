import { WORKER_EXPIRY_MS, type WorkerState } from '@weir/contracts';
import { expect, test } from 'vitest';
import { WorkerDirectory } from './worker-directory.ts';

const START = Date.parse('2026-03-01T00:00:00.000Z');

function aWorker(options: Partial<WorkerState> = {}): WorkerState {
  const at = new Date(START).toISOString();
  return {
    id: 'w1',
    url: 'http://127.0.0.1:1',
    startedAt: at,
    heartbeatAt: at,
    state: 'serving',
    memoryBytes: 1,
    versions: [{ versionId: 'v1', state: 'ready' }],
    ...options,
  };
}
const ids = (workers: readonly { readonly id: string }[]): string[] => workers.map((worker) => worker.id);

test('a worker is offered for the versions that it has ready, until it says otherwise', () => {
  const directory = new WorkerDirectory();
  directory.apply('w1', aWorker(), START, false);
  directory.apply('w2', aWorker({ id: 'w2', versions: [{ versionId: 'v1', state: 'loading' }] }), START, false);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1']);
  directory.apply('w2', aWorker({ id: 'w2' }), START, false);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1', 'w2']);
  directory.apply('w1', aWorker({ versions: [] }), START, false);
  expect(ids(directory.readyFor('v1'))).toEqual(['w2']);
  directory.apply('w2', aWorker({ id: 'w2', state: 'draining' }), START, false);
  expect(directory.readyFor('v1')).toEqual([]);
  directory.apply('w1', aWorker(), START, false);
  directory.apply('w1', undefined, START, false);
  expect(directory.readyFor('v1')).toEqual([]);
  expect(ids(directory.live())).toEqual(['w2']);
});

test("calls of a version go where the worker says, and to the worker's own address where it says nothing", () => {
  const directory = new WorkerDirectory();
  const versions = [
    { versionId: 'v1', state: 'ready', url: 'http://127.0.0.1:2' },
    { versionId: 'v2', state: 'ready' },
  ] as const;
  directory.apply('w1', aWorker({ versions: [...versions] }), START, false);
  expect(directory.readyFor('v1')).toEqual([{ id: 'w1', url: 'http://127.0.0.1:2' }]);
  expect(directory.readyFor('v2')).toEqual([{ id: 'w1', url: 'http://127.0.0.1:1' }]);
  directory.apply('w1', aWorker({ versions: [{ versionId: 'v1', state: 'ready', url: 'http://127.0.0.1:3' }] }), START, false);
  expect(directory.readyFor('v1')).toEqual([{ id: 'w1', url: 'http://127.0.0.1:3' }]);
});

test('a worker that falls silent is gone, and comes back with its next announcement', () => {
  const directory = new WorkerDirectory();
  directory.expire(START, true);
  directory.apply('w1', aWorker(), START, false);
  directory.expire(START + WORKER_EXPIRY_MS - 1, true);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1']);
  directory.expire(START + WORKER_EXPIRY_MS, true);
  expect(directory.readyFor('v1')).toEqual([]);
  expect(directory.live()).toEqual([]);
  directory.apply('w1', aWorker(), START + WORKER_EXPIRY_MS + 1, false);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1']);
});

test('while the bus is away nobody falls silent, and afterwards everyone has time to be heard', () => {
  const directory = new WorkerDirectory();
  directory.expire(START, true);
  directory.apply('w1', aWorker(), START, false);
  directory.expire(START + 10 * WORKER_EXPIRY_MS, false);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1']);
  directory.expire(START + 11 * WORKER_EXPIRY_MS, true);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1']);
  directory.expire(START + 12 * WORKER_EXPIRY_MS, true);
  expect(directory.readyFor('v1')).toEqual([]);
});

test('the clocks of workers need not agree with ours', () => {
  const directory = new WorkerDirectory();
  directory.expire(START, true);
  directory.apply('w1', aWorker({ heartbeatAt: '2020-01-01T00:00:00.000Z' }), START, false);
  directory.expire(START + 1_000, true);
  expect(ids(directory.readyFor('v1'))).toEqual(['w1']);
});

import { deserialize, serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import {
  sequenceOf,
  SequenceStore,
  type MovedSequence,
  type SequenceCall,
  type SequenceOwner,
  type SequenceStoreOptions,
} from './sequences.ts';
import type { SequenceState } from './task.ts';

const OWNER: SequenceOwner = { tenantId: 'acme', versionId: 'v1' };
const signal = new AbortController().signal;

function aStore(over: Partial<SequenceStoreOptions> = {}): SequenceStore {
  return new SequenceStore({ maxSequences: 100, maxBytes: 1_000_000, idleMs: 60_000, maxWaiting: 2, ...over });
}

const aCall = (over: Partial<SequenceCall> = {}): SequenceCall => ({ id: 'talk', isStart: false, isEnd: false, ...over });

/** Adds to the number that the sequence remembers, and gives the sum. */
const adding =
  (amount: number, floats = 1) =>
  async (state: SequenceState): Promise<number> => {
    const sum = (state.memory.get('sum')?.[0] ?? 0) + amount;
    state.memory.set('sum', new Float32Array(floats).fill(sum));
    return Promise.resolve(sum);
  };

const lost = { code: 'sequence.lost', kind: 'conflict' };

describe('a sequence', () => {
  it('goes on where its last call ended, until its end', async () => {
    const store = aStore();
    expect(await store.use(OWNER, aCall({ isStart: true }), signal, adding(1))).toBe(1);
    expect(await store.use(OWNER, aCall(), signal, adding(2))).toBe(3);
    expect(await store.use(OWNER, aCall({ isEnd: true }), signal, adding(4))).toBe(7);
    expect([store.size, store.bytes]).toEqual([0, 0]);
    await expect(store.use(OWNER, aCall(), signal, adding(8))).rejects.toMatchObject(lost);
  });

  it('that never began is lost, and one that begins anew forgets', async () => {
    const store = aStore();
    await expect(store.use(OWNER, aCall(), signal, adding(1))).rejects.toMatchObject(lost);
    await store.use(OWNER, aCall({ isStart: true }), signal, adding(1));
    expect(await store.use(OWNER, aCall({ isStart: true }), signal, adding(10))).toBe(10);
    expect(await store.use(OWNER, aCall({ isStart: true, isEnd: true }), signal, adding(5))).toBe(5);
    expect(store.size).toBe(0);
  });

  it('is nobody else’s: neither of another tenant, nor of another version', async () => {
    const store = aStore();
    await store.use(OWNER, aCall({ isStart: true }), signal, adding(1));
    for (const other of [{ tenantId: 'globex' }, { versionId: 'v2' }])
      await expect(store.use({ ...OWNER, ...other }, aCall(), signal, adding(1))).rejects.toMatchObject(lost);
    await store.use({ ...OWNER, tenantId: 'globex' }, aCall({ isStart: true }), signal, adding(100));
    expect(await store.use(OWNER, aCall(), signal, adding(1))).toBe(2);
  });

  it('stays as it was when a call fails, so that the call can be sent again', async () => {
    const store = aStore();
    await store.use(OWNER, aCall({ isStart: true }), signal, adding(1));
    const failing = async (state: SequenceState): Promise<never> => {
      state.memory.set('sum', Float32Array.of(99));
      return Promise.reject(new Error('the model failed'));
    };
    await expect(store.use(OWNER, aCall({ isEnd: true }), signal, failing)).rejects.toThrow('the model failed');
    expect(await store.use(OWNER, aCall(), signal, adding(1))).toBe(2);
  });

  it('that fails at its start has not begun', async () => {
    const store = aStore();
    await expect(store.use(OWNER, aCall({ isStart: true }), signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(store.use(OWNER, aCall(), signal, adding(1))).rejects.toMatchObject(lost);
  });

  it('has one call under way at a time, in the order in which they came; more than may wait are refused', async () => {
    const store = aStore({ maxWaiting: 2 });
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const slow = async (): Promise<void> => {
      order.push('first begins');
      await gate.promise;
      order.push('first ends');
    };
    const noted = (name: string) => async (): Promise<void> => {
      order.push(name);
      await Promise.resolve();
    };
    const first = store.use(OWNER, aCall({ isStart: true }), signal, slow);
    const second = store.use(OWNER, aCall(), signal, noted('second'));
    const third = store.use(OWNER, aCall(), signal, noted('third'));
    await expect(store.use(OWNER, aCall(), signal, noted('fourth'))).rejects.toMatchObject({ code: 'sequence.busy', kind: 'conflict' });
    await store.use(OWNER, aCall({ id: 'other talk', isStart: true }), signal, noted('another sequence'));
    gate.resolve();
    await Promise.all([first, second, third]);
    expect(order).toEqual(['first begins', 'another sequence', 'first ends', 'second', 'third']);
    await store.use(OWNER, aCall(), signal, noted('fifth'));
    expect(order.at(-1)).toBe('fifth');
  });

  it('is not held up by a caller who has gone while waiting', async () => {
    const store = aStore({ maxWaiting: 1 });
    const gate = Promise.withResolvers<void>();
    const gone = new AbortController();
    const first = store.use(OWNER, aCall({ isStart: true }), signal, () => gate.promise);
    const waiting = store.use(OWNER, aCall(), gone.signal, adding(1));
    gone.abort(new Error('the caller has gone'));
    await expect(waiting).rejects.toThrow('the caller has gone');
    const next = store.use(OWNER, aCall(), signal, adding(1));
    gate.resolve();
    await first;
    expect(await next).toBe(1);
    await expect(store.use(OWNER, aCall(), gone.signal, adding(1))).rejects.toThrow('the caller has gone');
  });
});

describe('the store of sequences', () => {
  it('lets go what had no call for too long', async () => {
    let nowMs = 0;
    const store = aStore({ idleMs: 1_000, now: () => nowMs });
    await store.use(OWNER, aCall({ id: 'old', isStart: true }), signal, adding(1));
    nowMs = 900;
    await store.use(OWNER, aCall({ id: 'young', isStart: true }), signal, adding(1));
    nowMs = 1_500;
    await expect(store.use(OWNER, aCall({ id: 'old' }), signal, adding(1))).rejects.toMatchObject(lost);
    expect(await store.use(OWNER, aCall({ id: 'young' }), signal, adding(1))).toBe(2);
    nowMs = 9_000;
    await expect(store.use(OWNER, aCall({ id: 'none' }), signal, adding(1))).rejects.toMatchObject(lost);
    expect([store.size, store.bytes]).toEqual([0, 0]);
  });

  it('lets go the least recently used one when there are too many', async () => {
    const store = aStore({ maxSequences: 2 });
    await store.use(OWNER, aCall({ id: 'a', isStart: true }), signal, adding(1));
    await store.use(OWNER, aCall({ id: 'b', isStart: true }), signal, adding(1));
    await store.use(OWNER, aCall({ id: 'a' }), signal, adding(1));
    await store.use(OWNER, aCall({ id: 'c', isStart: true }), signal, adding(1));
    await expect(store.use(OWNER, aCall({ id: 'b' }), signal, adding(1))).rejects.toMatchObject(lost);
    expect(await store.use(OWNER, aCall({ id: 'a' }), signal, adding(1))).toBe(3);
  });

  it('is bounded in bytes, and a state that is larger than all of it fails its call', async () => {
    const store = aStore({ maxBytes: 20_000 });
    for (const id of ['a', 'b', 'c']) await store.use(OWNER, aCall({ id, isStart: true }), signal, adding(1, 2_000));
    expect(store.size).toBe(2);
    expect(store.bytes).toBeLessThanOrEqual(20_000);
    await expect(store.use(OWNER, aCall({ id: 'd', isStart: true }), signal, adding(1, 6_000))).rejects.toMatchObject({
      code: 'model.failed',
    });
    expect(store.size).toBe(2);
  });

  it('takes from the tenant that holds most: many sequences of one do not push out those of another', async () => {
    const store = aStore({ maxSequences: 5 });
    const small = { ...OWNER, tenantId: 'small' };
    await store.use(small, aCall({ isStart: true }), signal, adding(1));
    for (let index = 0; index < 50; index++) await store.use(OWNER, aCall({ id: `flood ${index}`, isStart: true }), signal, adding(1));
    expect(store.size).toBe(5);
    expect(await store.use(small, aCall(), signal, adding(1))).toBe(2);
  });

  it('forgets the sequences of a version that is served no longer', async () => {
    const store = aStore();
    await store.use(OWNER, aCall({ isStart: true }), signal, adding(1));
    await store.use({ ...OWNER, versionId: 'v2' }, aCall({ isStart: true }), signal, adding(1));
    store.forget('v1');
    await expect(store.use(OWNER, aCall(), signal, adding(1))).rejects.toMatchObject(lost);
    expect(await store.use({ ...OWNER, versionId: 'v2' }, aCall(), signal, adding(1))).toBe(2);
  });
});

describe('the parameters of a request', () => {
  it('name a sequence by a number or a text, the same by either', () => {
    expect(sequenceOf({ sequence_id: 42, sequence_start: true })).toEqual({ id: '42', isStart: true, isEnd: false });
    expect(sequenceOf({ sequence_id: '42', sequence_end: true })).toEqual({ id: '42', isStart: false, isEnd: true });
  });

  it.each([[{}], [{ sequence_id: 0 }], [{ sequence_id: '' }], [{ sequence_id: null, sequence_start: false }]])(
    '%j name none',
    (parameters) => {
      expect(sequenceOf(parameters)).toBeNull();
    },
  );

  it.each([
    [{ sequence_id: 2 ** 53 }, 'parameters.sequence_id'],
    [{ sequence_id: 1.5 }, 'parameters.sequence_id'],
    [{ sequence_id: 'x'.repeat(129) }, 'parameters.sequence_id'],
    [{ sequence_id: { id: 1 } }, 'parameters.sequence_id'],
    [{ sequence_id: 1, sequence_start: 'yes' }, 'parameters.sequence_start'],
    [{ sequence_id: 1, sequence_end: 1 }, 'parameters.sequence_end'],
  ])('%j are refused', (parameters, field) => {
    expect(() => sequenceOf(parameters)).toThrowError(expect.objectContaining({ code: 'model.input_invalid', field }));
  });
});

describe('the sequences of a version that are moved to another process', () => {
  it('are continued there, and refused here in a way that can be retried; those of other versions stay', async () => {
    const [store, successor] = [aStore(), aStore()];
    const other = { ...OWNER, versionId: 'v2' };
    await store.use(OWNER, aCall({ isStart: true }), signal, adding(1));
    await store.use(other, aCall({ isStart: true }), signal, adding(10));
    successor.importAll(deserialize(serialize(await store.exportAll('v1', 1_000))) as MovedSequence[]);
    expect(await successor.use(OWNER, aCall(), signal, adding(2))).toBe(3);
    const refused = { code: 'worker.overloaded', retryAfterMs: 1_000 };
    await expect(store.use(OWNER, aCall(), signal, adding(2))).rejects.toMatchObject(refused);
    await expect(store.use(OWNER, aCall({ id: 'new', isStart: true }), signal, adding(2))).rejects.toMatchObject(refused);
    expect(await store.use(other, aCall(), signal, adding(2))).toBe(12);
  });

  it('move with the effect of the call in progress; calls that wait behind it are refused', async () => {
    const [store, successor] = [aStore(), aStore()];
    const [started, running] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = store.use(OWNER, aCall({ isStart: true }), signal, async (state) => {
      started.resolve();
      await running.promise;
      return adding(1)(state);
    });
    await started.promise;
    const second = store.use(OWNER, aCall(), signal, adding(1));
    const moved = store.exportAll('v1', 10_000);
    running.resolve();
    expect(await Promise.allSettled([first, second])).toEqual([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: expect.objectContaining({ code: 'worker.overloaded' }) as unknown },
    ]);
    successor.importAll(await moved);
    expect(await successor.use(OWNER, aCall(), signal, adding(1))).toBe(2);
  });

  it('do not wait for a call that takes longer than the bound', async () => {
    const store = aStore();
    const running = Promise.withResolvers<number>();
    const hung = store.use(OWNER, aCall({ isStart: true }), signal, () => running.promise);
    await store.use(OWNER, aCall({ id: 'idle', isStart: true }), signal, adding(1));
    expect((await store.exportAll('v1', 1)).map(({ id }) => id)).toEqual(['idle']);
    running.resolve(0);
    await hung;
  });
});

import { describe, expect, it, vi } from 'vitest';
import type { OnnxTensor } from './messages.ts';
import { SubmittedItem } from './submitted-item.ts';
import type { ItemResult } from './waiting-item.ts';

const feeds: readonly OnnxTensor[] = [{ name: 'x', type: 'float32', dims: [5, 1], data: Float32Array.of(1, 2, 3, 4, 5) }];
const shape = { rows: 5, length: 0, elements: 5, units: 5, key: 'key', isSplittable: true };

/** Outputs of a network that doubles its input. */
const doubled = ({ feeds: [feed] }: { feeds: readonly OnnxTensor[] }): ItemResult => ({
  outputs: [{ ...feed!, name: 'y', data: Float32Array.from(feed!.data as Float32Array, (value) => value * 2) }],
  rows: feed?.dims[0] ?? 0,
  startedAtMs: 1,
  executingAtMs: 2,
  endedAtMs: 3,
  batchRows: 2,
});

function submitted(chunkRows: number) {
  const abort = new AbortController();
  const onStarted = vi.fn<() => void>();
  const onFailed = vi.fn<(isCancelled: boolean) => void>();
  const caller = { tenantId: 'acme', shapeClass: '2x2', elements: 5, runsAlone: false };
  const submission = { caller, feeds, outputs: ['y'], priority: 'interactive', signal: abort.signal, onStarted } as const;
  return { item: new SubmittedItem(submission, shape, chunkRows, onFailed), abort, onStarted, onFailed };
}

describe('an item of more rows than a batch holds', () => {
  it('is queued in chunks, and answered as a whole in the order of its rows, whichever ran first', async () => {
    const { item } = submitted(2);
    expect(
      item.chunks.map(({ rows, units, caller: { tenantId, shapeClass, elements } }) => [rows, units, tenantId, shapeClass, elements]),
    ).toEqual([
      [2, 2, 'acme', '2x2', 2],
      [2, 2, 'acme', '2x2', 2],
      [1, 1, 'acme', '2x2', 1],
    ]);
    for (const chunk of item.chunks.toReversed()) chunk.resolve(doubled(chunk));
    expect(await item.result).toMatchObject({ rows: 5, outputs: [{ name: 'y', dims: [5, 1], data: Float32Array.of(2, 4, 6, 8, 10) }] });
  });

  it('has started once when the first of its chunks runs, also when chunks run again by themselves', () => {
    const { item, onStarted } = submitted(2);
    expect(onStarted).not.toHaveBeenCalled();
    for (const chunk of [item.chunks[1], item.chunks[0], item.chunks[1]]) chunk?.started();
    expect(onStarted).toHaveBeenCalledOnce();
  });

  it('is cancelled with all of its chunks', async () => {
    const { item, abort, onFailed } = submitted(2);
    item.chunks[0]?.resolve(doubled(item.chunks[0]));
    abort.abort(new Error('the caller has gone'));
    await expect(item.result).rejects.toThrow('the caller has gone');
    expect(item.chunks.every(({ isSettled }) => isSettled)).toBe(true);
    expect(onFailed).toHaveBeenCalledExactlyOnceWith(true);
  });

  it('fails with the first of its chunks that does, and the others need not run', async () => {
    const { item, onFailed } = submitted(2);
    item.chunks[1]?.reject(new Error('refused'));
    item.chunks[0]?.resolve(doubled(item.chunks[0]));
    await expect(item.result).rejects.toThrow('refused');
    expect(item.chunks.every(({ isSettled }) => isSettled)).toBe(true);
    expect(onFailed).toHaveBeenCalledExactlyOnceWith(false);
  });

  it('is an error of the model where the outputs of its chunks do not fit together', async () => {
    const { item } = submitted(3);
    const [first, second] = item.chunks;
    first?.resolve(doubled(first));
    second?.resolve({ ...doubled(second), outputs: [{ name: 'y', type: 'float32', dims: [2, 2], data: new Float32Array(4) }] });
    await expect(item.result).rejects.toMatchObject({ code: 'model.failed' });
  });
});

describe('an item of as many rows as a batch holds', () => {
  it('is run as it is', async () => {
    const { item } = submitted(5);
    expect(item.chunks.map(({ feeds: given }) => given)).toEqual([feeds]);
    item.chunks[0]?.resolve(doubled(item.chunks[0]));
    expect((await item.result).outputs[0]?.dims).toEqual([5, 1]);
  });
});

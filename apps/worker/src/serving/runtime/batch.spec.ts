import { describe, expect, it } from 'vitest';
import type { PaddingRule } from '../model-package/network.ts';
import { joined, paddingWaste, parted, type BatchItem } from './batch.ts';

const floats = (rows: number, ...values: number[]): BatchItem => ({
  feeds: [{ name: 'x', type: 'float32', dims: [rows, values.length / rows], data: Float32Array.from(values) }],
  rows,
  length: 0,
});

const tokens = (...ids: number[]): BatchItem => ({
  feeds: [
    { name: 'input_ids', type: 'int64', dims: [1, ids.length], data: BigInt64Array.from(ids, BigInt) },
    { name: 'attention_mask', type: 'int64', dims: [1, ids.length], data: new BigInt64Array(ids.length).fill(1n) },
  ],
  rows: 1,
  length: ids.length,
});

const PADDING: PaddingRule = {
  inputs: new Map([
    ['input_ids', { axis: 1, fill: 9 }],
    ['attention_mask', { axis: 1, fill: 0 }],
  ]),
  outputs: { rank: 3, axis: 1 },
};

describe('a batch', () => {
  it('of rows is their tensors one behind the other, and its outputs are theirs again', () => {
    const items = [floats(1, 1, 2), floats(2, 3, 4, 5, 6)];
    expect(joined(items, null)).toEqual([{ name: 'x', type: 'float32', dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) }]);
    const output = { name: 'y', type: 'float32' as const, dims: [3, 1], data: Float32Array.of(10, 20, 30) };
    expect(parted([output], items, null)).toEqual([
      [{ ...output, dims: [1, 1], data: Float32Array.of(10) }],
      [{ ...output, dims: [2, 1], data: Float32Array.of(20, 30) }],
    ]);
  });

  it('of different lengths is filled up on the right, and what was filled is cut from the outputs that have the length', () => {
    const items = [tokens(1, 2, 3), tokens(4)];
    const [ids, mask] = joined(items, PADDING);
    expect(ids).toMatchObject({ dims: [2, 3], data: BigInt64Array.of(1n, 2n, 3n, 4n, 9n, 9n) });
    expect(mask).toMatchObject({ dims: [2, 3], data: BigInt64Array.of(1n, 1n, 1n, 1n, 0n, 0n) });
    const hidden = {
      name: 'last_hidden_state',
      type: 'float32' as const,
      dims: [2, 3, 2],
      data: Float32Array.from({ length: 12 }, (_, i) => i),
    };
    const pooled = { name: 'pooled', type: 'float32' as const, dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
    const [, second] = parted([hidden, pooled], items, PADDING);
    expect(second).toEqual([
      { ...hidden, dims: [1, 1, 2], data: Float32Array.of(6, 7) },
      { ...pooled, dims: [1, 2], data: Float32Array.of(3, 4) },
    ]);
  });

  it('of texts keeps them apart', () => {
    const item = (text: string): BatchItem => ({ feeds: [{ name: 's', type: 'string', dims: [1], data: [text] }], rows: 1, length: 0 });
    expect(joined([item('a'), item('b')], null)[0]).toMatchObject({ dims: [2], data: ['a', 'b'] });
  });

  it('of one item is what it was', () => {
    const item = floats(1, 1, 2);
    expect(joined([item], null)[0]).toBe(item.feeds[0]);
  });

  it('whose outputs do not have its rows is an error, not a mix-up', () => {
    const output = { name: 'y', type: 'float32' as const, dims: [1], data: Float32Array.of(1) };
    expect(() => parted([output], [floats(1, 1), floats(1, 2)], null)).toThrow('does not have the rows');
  });

  it('tells how much of it is padding', () => {
    expect(paddingWaste([tokens(1, 2, 3, 4), tokens(1, 2)])).toBe(0.25);
    expect(paddingWaste([floats(1, 1)])).toBe(0);
  });
});

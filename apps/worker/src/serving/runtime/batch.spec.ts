import { describe, expect, it } from 'vitest';
import type { PaddingRule } from '../model-package/network.ts';
import { concatenate, concatenateRows, paddingWaste, rowRange, split, type BatchItem } from './batch.ts';

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
  mask: 'attention_mask',
  outputs: { rank: 3, axis: 1 },
};

const noLength = (): readonly number[] => [];
const hiddenLength = (name: string): readonly number[] => (name === 'last_hidden_state' ? [1] : []);

describe('a batch', () => {
  it('of rows is their tensors one behind the other, and its outputs are theirs again', () => {
    const items = [floats(1, 1, 2), floats(2, 3, 4, 5, 6)];
    expect(concatenate(items, null)).toEqual([{ name: 'x', type: 'float32', dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) }]);
    const output = { name: 'y', type: 'float32' as const, dims: [3, 1], data: Float32Array.of(10, 20, 30) };
    expect(split([output], items, noLength)).toEqual([
      [{ ...output, dims: [1, 1], data: Float32Array.of(10) }],
      [{ ...output, dims: [2, 1], data: Float32Array.of(20, 30) }],
    ]);
  });

  it('of different lengths is filled up on the right, and what was filled is cut from the outputs that have the length', () => {
    const items = [tokens(1, 2, 3), tokens(4)];
    const [ids, mask] = concatenate(items, PADDING);
    expect(ids).toMatchObject({ dims: [2, 3], data: BigInt64Array.of(1n, 2n, 3n, 4n, 9n, 9n) });
    expect(mask).toMatchObject({ dims: [2, 3], data: BigInt64Array.of(1n, 1n, 1n, 1n, 0n, 0n) });
    const hidden = {
      name: 'last_hidden_state',
      type: 'float32' as const,
      dims: [2, 3, 2],
      data: Float32Array.from({ length: 12 }, (_, i) => i),
    };
    const pooled = { name: 'pooled', type: 'float32' as const, dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
    const [, second] = split([hidden, pooled], items, hiddenLength);
    expect(second).toEqual([
      { ...hidden, dims: [1, 1, 2], data: Float32Array.of(6, 7) },
      { ...pooled, dims: [1, 2], data: Float32Array.of(3, 4) },
    ]);
  });

  it('has its padding cut from every axis of the length', () => {
    const scores = { name: 'scores', type: 'float32' as const, dims: [2, 3, 3], data: Float32Array.from({ length: 18 }, (_, i) => i) };
    const [first, second] = split([scores], [tokens(1, 2, 3), tokens(4, 5)], () => [1, 2]);
    expect(first).toEqual([{ ...scores, dims: [1, 3, 3], data: scores.data.slice(0, 9) }]);
    expect(second).toEqual([{ ...scores, dims: [1, 2, 2], data: Float32Array.of(9, 10, 12, 13) }]);
  });

  it('converts no item to the type of another', () => {
    const doubles: BatchItem = { ...floats(1, 3, 4), feeds: [{ name: 'x', type: 'float64', dims: [1, 2], data: Float64Array.of(3, 4) }] };
    expect(() => concatenate([floats(1, 1, 2), doubles], null)).toThrow('has no float32 x');
  });

  it('of texts keeps them apart', () => {
    const item = (text: string): BatchItem => ({ feeds: [{ name: 's', type: 'string', dims: [1], data: [text] }], rows: 1, length: 0 });
    expect(concatenate([item('a'), item('b')], null)[0]).toMatchObject({ dims: [2], data: ['a', 'b'] });
  });

  it('of one item is what it was', () => {
    const item = floats(1, 1, 2);
    expect(concatenate([item], null)[0]).toBe(item.feeds[0]);
  });

  it('whose outputs do not have its rows is an error, not a mix-up', () => {
    const output = { name: 'y', type: 'float32' as const, dims: [1], data: Float32Array.of(1) };
    expect(() => split([output], [floats(1, 1), floats(1, 2)], noLength)).toThrow('does not have the rows');
  });

  it.each<[string, BatchItem]>([
    ['with feeds longer than it was measured', { ...tokens(4, 5, 6, 7), length: 1 }],
    ['with feeds of more rows than it was measured', { ...floats(2, 1, 2), feeds: tokens(1).feeds }],
    ['whose mask is longer than its ids', { ...tokens(4), feeds: [tokens(4).feeds[0]!, tokens(4, 5).feeds[1]!] }],
    ['without the mask', { ...tokens(4), feeds: tokens(4).feeds.slice(0, 1) }],
    [
      'of another type',
      { ...tokens(4), feeds: tokens(4).feeds.map((feed) => ({ ...feed, type: 'int32' as const, data: Int32Array.of(4) })) },
    ],
    [
      'with fewer elements than its shape',
      { ...tokens(4), feeds: tokens(4).feeds.map((feed) => ({ ...feed, data: new BigInt64Array(0) })) },
    ],
    [
      'with more elements than its shape',
      { ...tokens(4), feeds: tokens(4).feeds.map((feed) => ({ ...feed, data: new BigInt64Array(9) })) },
    ],
  ])('with an item %s is an error, and no row of another item is written over', (_, item) => {
    expect(() => concatenate([tokens(1, 2, 3), item], PADDING)).toThrow();
    expect(() => concatenate([item, tokens(1, 2, 3)], PADDING)).toThrow();
  });

  it('whose outputs do not have its length, or fewer elements than their shape, is an error', () => {
    const items = [tokens(1, 2, 3), tokens(4)];
    const hidden = { name: 'last_hidden_state', type: 'float32' as const, dims: [2, 2, 1], data: new Float32Array(4) };
    expect(() => split([hidden], items, hiddenLength)).toThrow('does not have the length');
    expect(() => split([{ ...hidden, dims: [2, 3, 1] }], items, hiddenLength)).toThrow('as many elements');
  });

  it('of one item in chunks is what the item is as a whole', () => {
    const [whole] = floats(3, 1, 2, 3, 4, 5, 6).feeds;
    const chunks = [rowRange(whole!, 0, 2), rowRange(whole!, 2, 3)];
    expect(chunks[1]).toMatchObject({ dims: [1, 2], data: Float32Array.of(5, 6) });
    expect(concatenateRows(chunks.map((chunk) => [chunk]))).toEqual([whole]);
    const texts = { name: 's', type: 'string' as const, dims: [3], data: ['a', 'b', 'c'] };
    expect(concatenateRows([[rowRange(texts, 0, 1)], [rowRange(texts, 1, 3)]])).toEqual([texts]);
  });

  it('tells how much of it is padding', () => {
    expect(paddingWaste([tokens(1, 2, 3, 4), tokens(1, 2)])).toBe(0.25);
    expect(paddingWaste([floats(1, 1)])).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import type { PaddingRule } from '../model-package/network.ts';
import type { LoadedSignature, OnnxTensor } from './messages.ts';
import { NetworkShape } from './network-shape.ts';
import { RunRefusedError } from './run-refused.ts';

const PADDING: PaddingRule = {
  inputs: new Map([
    ['ids', { axis: 1, fill: 0 }],
    ['mask', { axis: 1, fill: 0 }],
  ]),
  mask: 'mask',
  outputs: { rank: 3, axis: 1 },
};
const input = (name: string, ...dims: (string | number)[]): LoadedSignature['inputs'][number] => ({ name, type: 'int64', dims });
const SIGNATURE: LoadedSignature = {
  inputs: [input('ids', 'batch', 'sequence'), input('mask', 'batch', 'sequence')],
  outputs: [
    input('pooled', 'batch', 4),
    input('hidden', 'batch', 'sequence', 4),
    input('attentions', 'batch', 2, 'sequence', 'sequence'),
    input('other', 'batch', 'some_size'),
  ],
};
const tensor = (name: string, dims: readonly number[], value = 1n): OnnxTensor => ({
  name,
  type: 'int64',
  dims,
  data: new BigInt64Array(dims.reduce((all, size) => all * size, 1)).fill(value),
});
const pair = (rows: number, length: number, mask = 1n): OnnxTensor[] => [
  tensor('ids', [rows, length]),
  tensor('mask', [rows, length], mask),
];
const shape = new NetworkShape(SIGNATURE, PADDING);
const keyOf = (feeds: readonly OnnxTensor[], outputs: readonly string[] = ['pooled'], of = shape): string | null =>
  of.measure(feeds, outputs, 'padded').key;

describe('an item', () => {
  it('has the rows and the length of its tensors', () => {
    expect(shape.measure(pair(3, 7), ['pooled'], 'padded')).toMatchObject({ rows: 3, length: 7, units: 21, isSplittable: true });
  });

  it.each<[string, OnnxTensor[], string]>([
    ['length', [tensor('ids', [1, 30]), tensor('mask', [1, 60])], 'input "mask": expected 1 rows of length 30 as in "ids", got 1 of 60'],
    ['rows', [tensor('ids', [2, 30]), tensor('mask', [1, 30])], 'input "mask": expected 2 rows of length 30 as in "ids", got 1 of 30'],
    ['rank', [tensor('ids', [2, 30]), tensor('mask', [60])], 'input "mask" has no axis 1'],
  ])('whose padded inputs disagree in %s is refused', (_, feeds, message) => {
    expect(() => shape.measure(feeds, ['pooled'], 'padded')).toThrow(new RunRefusedError(message));
  });

  it('shares runs with items of other rows and lengths, whoever made its tensors', () => {
    expect(keyOf(pair(1, 30))).toBe(keyOf(pair(4, 60)));
    expect(keyOf(pair(1, 30), ['hidden'])).not.toBe(keyOf(pair(1, 30)));
  });

  it('shares runs with equal lengths only where padding could change its result', () => {
    const differ = (short: OnnxTensor[], long: OnnxTensor[], outputs?: string[], of?: NetworkShape): void => {
      expect(keyOf(short, outputs, of)).not.toBeNull();
      expect(keyOf(short, outputs, of)).not.toBe(keyOf(long, outputs, of));
    };
    // Nothing is attended to: attention spreads over padding as over its own tokens.
    differ(pair(1, 30, 0n), pair(1, 60, 0n));
    const oneRow = { ...tensor('mask', [2, 30]), data: new BigInt64Array(60).fill(1n, 0, 30) };
    differ([tensor('ids', [2, 30]), oneRow], pair(2, 60));
    // Without a mask among its inputs.
    const unmasked = new NetworkShape({ ...SIGNATURE, inputs: SIGNATURE.inputs.slice(0, 1) }, PADDING);
    differ([tensor('ids', [1, 30])], [tensor('ids', [1, 60])], ['pooled'], unmasked);
    // It is not known whether the output grows with the length.
    differ(pair(1, 30), pair(1, 60), ['other']);
    expect(shape.measure(pair(1, 30), ['pooled'], 'equal-lengths').key).not.toBe(
      shape.measure(pair(1, 60), ['pooled'], 'equal-lengths').key,
    );
  });

  it('runs by itself where rows depend on each other, where it has none, or where its tensors differ in rows', () => {
    expect(shape.measure(pair(1, 30), ['pooled'], 'none').key).toBeNull();
    expect(keyOf(pair(0, 30))).toBeNull();
    expect(keyOf(pair(1, 0))).toBeNull();
    const unpadded = new NetworkShape({ inputs: [input('x', '', 2), input('y', '', 2)], outputs: [input('z', '', 2)] }, null);
    expect(keyOf([tensor('x', [3, 2]), tensor('y', [2, 2])], ['z'], unpadded)).toBeNull();
    expect(keyOf([tensor('x', [3, 2]), tensor('y', [3, 2])], ['z'], unpadded)).not.toBeNull();
  });

  it('does not share a run when its data is not as large as its shape says', () => {
    expect(keyOf([tensor('ids', [1, 3]), { ...tensor('mask', [1, 3]), data: new BigInt64Array(9) }])).toBeNull();
  });
});

describe('an output', () => {
  it('has the length along the axes that are named so, and along that of the rule', () => {
    expect(['pooled', 'hidden', 'attentions', 'other'].map((name) => shape.lengthAxesOf(name))).toEqual([[], [1], [2, 3], []]);
  });
});

import { describe, expect, it } from 'vitest';
import type { PaddingRule } from '../model-package/network.ts';
import type { OnnxTensor } from './messages.ts';
import { NetworkShape, type Batching, type ItemShape } from './network-shape.ts';
import { RunMemory } from './run-memory.ts';

const PADDING: PaddingRule = { inputs: new Map([['input_ids', { axis: 1, fill: 0 }]]), mask: null, outputs: { rank: 3, axis: 1 } };
const SHAPE = new NetworkShape(
  {
    inputs: [{ name: 'input_ids', type: 'int64', dims: ['batch', 'sequence'] }],
    outputs: [
      { name: 'last_hidden_state', type: 'float32', dims: ['batch', 'sequence', 8] },
      { name: 'logits', type: 'float32', dims: ['batch', 2] },
    ],
  },
  PADDING,
);
const ids = (rows: number, length: number): OnnxTensor[] => [
  { name: 'input_ids', type: 'int64', dims: [rows, length], data: new BigInt64Array(rows * length) },
];
const measured = (rows: number, length: number, batching: Batching = 'padded'): ItemShape =>
  SHAPE.measure(ids(rows, length), ['logits'], batching);
const output = (name: string, ...dims: number[]): OnnxTensor => ({
  name,
  type: 'float32',
  dims,
  data: new Float32Array(dims.reduce((all, size) => all * size, 1)),
});

/** A network whose rows of 10 tokens take 100 bytes. */
function learned(): RunMemory {
  const memory = new RunMemory(SHAPE);
  memory.observeOutputs([output('last_hidden_state', 2, 10, 8), output('logits', 2, 2)], { rows: 2, length: 10 });
  memory.observeGrowth(3_000, measured(30, 10).units, measured(30, 10));
  return memory;
}
const CHUNK_ROWS = 50;
const BOUNDS = { runBytes: 1_000, maxOutputElements: 10_000, queueLength: 100 };
const assertWithin = (outputs: readonly string[], rows: number, length: number, batching: Batching): void =>
  learned().assertWithin(BOUNDS, { feeds: ids(rows, length), outputs }, measured(rows, length, batching), CHUNK_ROWS);

describe('the memory of a run', () => {
  it('is expected by what was measured, and to grow with the square of the length', () => {
    expect(learned().bytesOf(measured(4, 10))).toBe(400);
    expect(learned().bytesOf(measured(4, 20))).toBe(1_600);
    expect(learned().bytesOf(measured(4, 5))).toBe(200);
  });

  it('beyond its bound is refused before it runs, where rows depend on each other: with the tensor, what it takes and what is allowed', () => {
    expect(() => assertWithin(['logits'], 10, 10, 'none')).not.toThrow();
    expect(() => assertWithin(['logits'], 20, 10, 'none')).toThrow(
      'input "input_ids" of shape [20, 10] needs about 2000 bytes of memory, at most 1000 are allowed: send at most 10 rows in a call',
    );
  });

  it('is no reason to refuse rows that can run in chunks, nor a single row', () => {
    expect(() => assertWithin(['logits'], 2_000, 10, 'padded')).not.toThrow();
    expect(() => assertWithin(['logits'], 1, 1_000, 'none')).not.toThrow();
  });
});

describe('the chunks of a call', () => {
  it('are no more than items may wait', () => {
    expect(() => assertWithin(['logits'], 5_000, 1, 'padded')).not.toThrow();
    expect(() => assertWithin([], 5_100, 1, 'padded')).toThrow(
      'needs about 102 runs, at most 100 are allowed: send at most 5000 rows in a call',
    );
  });
});

describe('the outputs of a call', () => {
  it('are bounded before it runs, by its rows and by its length where an output has one', () => {
    expect(learned().outputElementsOf(['last_hidden_state', 'logits'], { rows: 5, length: 20 })).toBe(5 * 20 * 8 + 5 * 2);
    expect(() => assertWithin(['last_hidden_state'], 62, 20, 'padded')).not.toThrow();
    expect(() => assertWithin(['last_hidden_state'], 63, 20, 'padded')).toThrow('elements in the outputs, at most 10000 are allowed');
    expect(() => assertWithin(['logits'], 5_000, 20, 'padded')).not.toThrow();
  });
});

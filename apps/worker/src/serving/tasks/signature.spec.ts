import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { assertFits, signatureOf, tensorMetadata } from './signature.ts';

const signature = signatureOf({
  inputs: [
    { name: 'ids', type: 'int64', dims: ['batch', 'length'] },
    { name: 'mask', type: 'int64', dims: ['batch', 'length'] },
    { name: '__proto__', type: 'float32', dims: ['', 0, 3] },
  ],
  outputs: [
    { name: 'logits', type: 'float32', dims: ['batch', 2] },
    { name: 'map', type: 'not a tensor', dims: [] },
  ],
});

const ids = { name: 'ids', datatype: 'INT64', shape: [2, 5] } as const;
const mask = { name: 'mask', datatype: 'INT64', shape: [2, 5] } as const;
const odd = { name: '__proto__', datatype: 'FP32', shape: [7, 1, 3] } as const;

function messageOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError && error.code === 'model.input_invalid') return error.message;
    throw error;
  }
  return 'fits';
}

describe('tensors for a model', () => {
  it('that are as declared fit, whatever their names', () => {
    expect(messageOf(() => assertFits(signature, [mask, odd, ids]))).toBe('fits');
  });

  it.each([
    [
      'of a name that it does not have',
      [{ ...ids, name: 'x' }],
      'unknown input "x"; the model takes "ids" INT64 [batch, length], "mask" INT64 [batch, length], "__proto__" FP32 [any, any, 3]',
    ],
    ['that are not all there', [ids, odd], 'missing input "mask" INT64 [batch, length]'],
    ['of another datatype', [{ ...ids, datatype: 'FP32' as const }, mask, odd], 'input "ids": expected datatype INT64, got FP32'],
    ['of another rank', [{ ...ids, shape: [5] }, mask, odd], 'input "ids": expected shape [batch, length], got [5]'],
    ['of another fixed size', [ids, mask, { ...odd, shape: [7, 1, 4] }], 'input "__proto__": expected shape [any, any, 3], got [7, 1, 4]'],
    [
      'that disagree about a size that both name',
      [ids, { ...mask, shape: [2, 6] }, odd],
      'input "mask": expected shape [batch=2, length=5], got [2, 6]',
    ],
  ])('%s are refused with what is expected and what came', (_, tensors, message) => {
    expect(messageOf(() => assertFits(signature, tensors))).toBe(message);
  });

  it('are described with -1 where the caller chooses; outputs that are no tensors are not offered', () => {
    expect(signature.inputs.map(tensorMetadata)[0]).toEqual({ name: 'ids', datatype: 'INT64', shape: [-1, -1] });
    expect(signature.outputs.map((output) => output.name)).toEqual(['logits']);
  });

  it('of a type that the platform does not carry make a model unusable, and the reason is said', () => {
    expect(() => signatureOf({ inputs: [{ name: 'x', type: 'bfloat16', dims: [] }], outputs: [] })).toThrowError(
      expect.objectContaining({ code: 'model.package_invalid' }),
    );
  });
});

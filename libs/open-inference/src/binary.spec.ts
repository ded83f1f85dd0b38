import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { decodeTensor } from './codec.ts';
import type { Datatype } from './types.ts';

const decode = (datatype: Datatype, shape: number[], bytes: readonly number[]): unknown =>
  decodeTensor({ name: 'x', datatype, shape, data: Uint8Array.from(bytes) }, 'inputs[0]').data;

function refusalOf(datatype: Datatype, shape: number[], bytes: readonly number[]): AppError {
  try {
    decode(datatype, shape, bytes);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const JA = [2, 0, 0, 0, 0x6a, 0x61];
const EMPTY = [0, 0, 0, 0];

describe('elements that come as bytes', () => {
  it.each<[Datatype, number[], unknown]>([
    ['BOOL', [1, 0], Uint8Array.of(1, 0)],
    ['INT8', [0x80, 0x7f], Int8Array.of(-128, 127)],
    ['UINT16', [1, 0, 0, 1], Uint16Array.of(1, 256)],
    ['INT32', [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0], Int32Array.of(-1, 1)],
    ['FP16', [0, 0x3c, 0, 0xfe], Uint16Array.of(0x3c00, 0xfe00)],
    ['FP32', [0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xff], Float32Array.of(1, -Infinity)],
    ['INT64', [...Array<number>(7).fill(0), 0x80, 1, ...Array<number>(7).fill(0)], BigInt64Array.of(-(2n ** 63n), 1n)],
    ['BYTES', [...JA, ...EMPTY], [Uint8Array.of(0x6a, 0x61), new Uint8Array()]],
  ])('of %s are little-endian, without gaps', (datatype, bytes, expected) => {
    expect(decode(datatype, [2], bytes)).toEqual(expected);
  });

  it.each<[string, Datatype, number[], number[], string, string]>([
    ['too few bytes', 'FP32', [2], [0, 0, 0, 0], 'inputs[0]', 'shape [2] of FP32 is 8 bytes, the binary data holds 4'],
    ['too many bytes', 'UINT8', [1], [0, 0], 'inputs[0]', 'is 1 bytes, the binary data holds 2'],
    ['a BOOL that is neither', 'BOOL', [2], [1, 2], 'inputs[0].data[1]', 'element 1 must be 0 or 1 (BOOL), got 2'],
    ['fewer bytes than lengths', 'BYTES', [2], [0, 0, 0, 0], 'inputs[0]', 'is at least 8 bytes, the binary data holds 4'],
    ['a length beyond the end', 'BYTES', [1], [3, 0, 0, 0, 0x6a, 0x61], 'inputs[0].data[0]', 'says that it is 3 bytes long, 2 are left'],
    [
      'a length of 4 GiB',
      'BYTES',
      [1],
      [0xff, 0xff, 0xff, 0xff, 0],
      'inputs[0].data[0]',
      'says that it is 4294967295 bytes long, 1 are left',
    ],
    ['an end inside a length', 'BYTES', [2], [...JA, 0, 0, 0], 'inputs[0].data[1]', 'ends before element 1 of 2'],
    ['bytes after the last element', 'BYTES', [1], [...JA, 0], 'inputs[0]', '1 bytes follow the last one'],
  ])('with %s are refused with the place', (_, datatype, shape, bytes, field, part) => {
    const error = refusalOf(datatype, shape, bytes);
    expect(error).toMatchObject({ code: 'model.input_invalid', field });
    expect(error.message).toContain(part);
  });
});

import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { decodeTensor, encodeTensor } from './codec.ts';
import { parseInferenceRequest } from './request.ts';
import type { Datatype, RequestTensor } from './types.ts';

function aTensor(over: Partial<Record<keyof RequestTensor, unknown>> = {}): unknown {
  return { name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2], ...over };
}

function errorOf(act: () => unknown): AppError {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const decode = (tensor: unknown) => decodeTensor(parseInferenceRequest({ inputs: [tensor] }).inputs[0]!, 'inputs[0]');

describe('elements', () => {
  it.each<[Datatype, unknown[], string]>([
    ['FP32', [1, '2'], 'input "x": element 1 must be a number'],
    ['FP32', [1, null], 'got null'],
    ['FP32', [1, 1e39], 'got 1e+39'],
    ['INT8', [1, 128], 'a whole number from -128 to 127 (INT8), got 128'],
    ['UINT8', [-1, 0], 'element 0 must be a whole number from 0 to 255'],
    ['INT32', [1.5, 0], 'got 1.5'],
    [
      'INT64',
      [2 ** 53, 0],
      'or the digits of one from -9223372036854775808 to 9223372036854775807 in a string (INT64), got 9007199254740992',
    ],
    ['INT64', ['9223372036854775808', 0], 'element 0 must be a whole number'],
    ['INT64', ['', 0], 'element 0 must be a whole number'],
    ['INT64', ['0x10', 0], 'element 0 must be a whole number'],
    ['UINT64', ['-1', 0], 'element 0 must be a whole number'],
    ['UINT64', [-1, 0], 'element 0 must be a whole number from 0'],
    ['BOOL', [1, true], 'element 0 must be true or false (BOOL), got 1'],
    ['BYTES', ['a', 4], 'element 1 must be a string (BYTES), got 4'],
  ])('%s refuses what is not one, naming the element', (datatype, data, part) => {
    const error = errorOf(() => decode(aTensor({ datatype, data })));
    expect(error.code).toBe('model.input_invalid');
    expect(error.message).toContain(part);
  });

  it('a shape and data of different lengths are told apart by their numbers', () => {
    expect(errorOf(() => decode(aTensor({ data: [1, 2, 3] }))).message).toBe('input "x": shape [1, 2] holds 2 elements, data holds 3');
  });

  it('nested data is taken when it is nested as the shape says', () => {
    expect(
      decode(
        aTensor({
          shape: [2, 2],
          data: [
            [1, 2],
            [3, 4],
          ],
        }),
      ).data,
    ).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(errorOf(() => decode(aTensor({ shape: [2, 2], data: [[1, 2], [3]] }))).message).toContain('axis 1 needs 2 items, got 1');
  });

  it('numbers of every type come back as they were sent', () => {
    const roundTrip = (datatype: Datatype, data: unknown[]) =>
      JSON.parse(JSON.stringify(encodeTensor(decode(aTensor({ datatype, shape: [data.length], data })))));
    expect(roundTrip('INT64', [-5, Number.MAX_SAFE_INTEGER]).data).toEqual([-5, Number.MAX_SAFE_INTEGER]);
    expect(roundTrip('FP16', [0.5, -2, 65504]).data).toEqual([0.5, -2, 65504]);
    expect(roundTrip('BOOL', [true, false]).data).toEqual([true, false]);
    expect(roundTrip('BYTES', ['ä', '']).data).toEqual(['ä', '']);
    expect(roundTrip('UINT32', [4294967295]).data).toEqual([4294967295]);
  });

  it('an integer beyond 2^53 may come as its digits in a string', () => {
    expect(decode(aTensor({ datatype: 'INT64', data: ['-9223372036854775808', 5] })).data).toEqual(
      BigInt64Array.of(-9_223_372_036_854_775_808n, 5n),
    );
    expect(decode(aTensor({ datatype: 'UINT64', data: ['18446744073709551615', 5] })).data).toEqual(
      BigUint64Array.of(18_446_744_073_709_551_615n, 5n),
    );
  });

  it('an integer beyond 2^53 leaves with all its digits', () => {
    const encoded = encodeTensor({ name: 'y', datatype: 'INT64', shape: [1], data: BigInt64Array.of(9_223_372_036_854_775_807n) });
    expect(JSON.stringify(encoded.data)).toBe('[9223372036854775807]');
  });

  it('an output that JSON cannot carry is an error of the model, not a null', () => {
    expect(errorOf(() => encodeTensor({ name: 'y', datatype: 'FP32', shape: [1], data: Float32Array.of(Number.NaN) }))).toMatchObject({
      code: 'model.failed',
    });
  });
});

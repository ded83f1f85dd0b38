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

describe('a request that does not have the form of the protocol is refused with the field and what was expected', () => {
  it.each([
    ['no object', 5, '', 'the body must be a JSON object, got a number'],
    ['no inputs', {}, 'inputs', 'inputs must be a non-empty array of tensors, got nothing'],
    ['empty inputs', { inputs: [] }, 'inputs', 'inputs must be a non-empty array of tensors, got an empty array'],
    ['an input that is no object', { inputs: [null] }, 'inputs[0]', 'inputs[0] must be a tensor object, got null'],
    ['a tensor twice', { inputs: [aTensor(), aTensor()] }, 'inputs[1].name', 'input "x" is given twice'],
    [
      'a negative size',
      { inputs: [aTensor({ shape: [-1, 2] })] },
      'inputs[0].shape[0]',
      'input "x": shape[0] must be a whole number of at least 0, got -1',
    ],
    [
      'a size in text',
      { inputs: [aTensor({ shape: ['2'] })] },
      'inputs[0].shape[0]',
      'input "x": shape[0] must be a whole number of at least 0, got a string',
    ],
    ['data that is no list', { inputs: [aTensor({ data: 'abc' })] }, 'inputs[0].data', 'input "x": data must be an array, got a string'],
    ['an id that is no text', { id: 7, inputs: [aTensor()] }, 'id', 'id must be a string of at most 256 characters'],
  ])('%s', (_, body, field, message) => {
    expect(errorOf(() => parseInferenceRequest(body))).toMatchObject({ code: 'model.input_invalid', field, message });
  });

  it('an unknown datatype is answered with the list of those that there are', () => {
    expect(errorOf(() => parseInferenceRequest({ inputs: [aTensor({ datatype: 'FP8' })] })).message).toContain(
      'must be one of BOOL, UINT8',
    );
  });

  it('more elements than are allowed are refused before anything is made of them', () => {
    expect(
      errorOf(() => parseInferenceRequest({ inputs: [aTensor({ shape: [9e15, 9e15] })] }, { maxTensors: 2, maxElements: 10 })),
    ).toMatchObject({ code: 'request.too_large' });
  });
});

describe('elements', () => {
  it.each<[Datatype, unknown[], string]>([
    ['FP32', [1, '2'], 'input "x": element 1 must be a number'],
    ['FP32', [1, null], 'got null'],
    ['FP32', [1, 1e39], 'got 1e+39'],
    ['INT8', [1, 128], 'a whole number from -128 to 127 (INT8), got 128'],
    ['UINT8', [-1, 0], 'element 0 must be a whole number from 0 to 255'],
    ['INT32', [1.5, 0], 'got 1.5'],
    ['INT64', [2 ** 53, 0], 'a whole number from'],
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

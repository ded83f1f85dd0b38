import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { decodeTensor } from './codec.ts';
import { encodeRequest, parseInferenceRequest, readRequest } from './request.ts';
import { HEADER_LENGTH_HEADER, type MessageHeaders, type RequestTensor } from './types.ts';

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

  it('a shape of more elements than are allowed is refused by its name, before anything is allocated', () => {
    expect(
      errorOf(() => parseInferenceRequest({ inputs: [aTensor({ shape: [1_099_511_627_776, 100] })] }, { maxTensors: 2, maxElements: 10 })),
    ).toMatchObject({
      code: 'model.input_invalid',
      field: 'inputs[0].shape',
      message: expect.stringContaining('shape [1099511627776, 100] has 109951162777600 elements, at most 10 are allowed') as string,
    });
  });

  it('more elements than are allowed in all inputs together are refused', () => {
    const inputs = ['a', 'b'].map((name) => aTensor({ name, shape: [6], data: [1, 2, 3, 4, 5, 6] }));
    expect(errorOf(() => parseInferenceRequest({ inputs }, { maxTensors: 2, maxElements: 10 }))).toMatchObject({
      code: 'request.too_large',
    });
  });
});

/** A body of the binary extension: the JSON, then the bytes. */
function aBinaryBody(json: unknown, ...binary: readonly Uint8Array[]): { body: Buffer; headers: MessageHeaders } {
  const header = Buffer.from(JSON.stringify(json));
  return { body: Buffer.concat([header, ...binary]), headers: { [HEADER_LENGTH_HEADER]: String(header.length) } };
}

const ROW = new Uint8Array(Float32Array.of(1, 2).buffer);
const binaryInput = (over: object = {}, parameters: object = {}): object => ({
  name: 'x',
  shape: [1, 2],
  datatype: 'FP32',
  parameters: { binary_data_size: 8, ...parameters },
  ...over,
});

const refusalOf = (json: unknown, ...binary: readonly Uint8Array[]): AppError => {
  const { body, headers } = aBinaryBody(json, ...binary);
  return errorOf(() => readRequest(body, headers));
};

describe('a body of JSON and bytes', () => {
  it('may hold inputs in JSON and in bytes side by side, the bytes in the order of the inputs', () => {
    const { body, headers } = aBinaryBody(
      {
        inputs: [
          binaryInput({ name: 'first' }),
          { name: 'second', shape: [2], datatype: 'INT32', data: [7, 8] },
          binaryInput({ name: 'third', shape: [3], datatype: 'UINT8' }, { binary_data_size: 3 }),
        ],
      },
      ROW,
      Uint8Array.of(9, 8, 7),
    );
    const request = readRequest(body, headers);
    expect(request.inputs.map((input, index) => decodeTensor(input, `inputs[${index}]`).data)).toEqual([
      Float32Array.of(1, 2),
      Int32Array.of(7, 8),
      Uint8Array.of(9, 8, 7),
    ]);
  });

  it('is read in place where the bytes of a tensor stand at a multiple of their size', () => {
    const inputs = [{ name: 'x', shape: [1, 2], datatype: 'FP32' as const, data: ROW }];
    const { body, headers } = encodeRequest({ inputs });
    const own = Buffer.from(new ArrayBuffer(body.length));
    body.copy(own);
    const [tensor] = readRequest(own, headers).inputs;
    expect(tensor === undefined ? undefined : (decodeTensor(tensor, 'inputs[0]').data as Float32Array).buffer).toBe(own.buffer);
  });

  it('without the header is JSON alone', () => {
    expect(readRequest(Buffer.from(JSON.stringify({ inputs: [aTensor()] })), {}).inputs[0]?.data).toEqual([1, 2]);
  });

  it('takes NaN and infinities, which JSON cannot say', () => {
    const { body, headers } = aBinaryBody({ inputs: [binaryInput()] }, new Uint8Array(Float32Array.of(Number.NaN, -Infinity).buffer));
    const request = readRequest(body, headers);
    expect(request.inputs.map((input) => decodeTensor(input, 'inputs[0]').data)).toEqual([Float32Array.of(Number.NaN, -Infinity)]);
  });
});

describe('a body whose lengths lie is refused with the place of the lie', () => {
  it.each([
    ['is no number', 'many'],
    ['is negative', '-1'],
    ['is a fraction', '1.5'],
    ['is beyond the body', '1000000'],
    ['is nothing', ''],
    ['is nought', '0'],
    ['is beyond every number', '9'.repeat(30)],
  ])('the length of the JSON %s', (_, length) => {
    const { body } = aBinaryBody({ inputs: [binaryInput()] }, ROW);
    expect(errorOf(() => readRequest(body, { [HEADER_LENGTH_HEADER]: length }))).toMatchObject({
      code: 'model.input_invalid',
      field: HEADER_LENGTH_HEADER,
    });
  });

  it('the length of the JSON is given twice', () => {
    expect(errorOf(() => readRequest(Buffer.from('{}'), { [HEADER_LENGTH_HEADER]: ['2', '2'] })).field).toBe(HEADER_LENGTH_HEADER);
  });

  it.each([
    ['more bytes than follow', binaryInput({}, { binary_data_size: 9 }), ROW, 'is 9, 8 bytes are left'],
    ['fewer bytes than the shape needs', binaryInput({}, { binary_data_size: 4 }), ROW.subarray(4), 'is 8 bytes, the binary data holds 4'],
    ['a negative size', binaryInput({}, { binary_data_size: -8 }), ROW, 'a whole number of bytes, got -8'],
    ['a fraction of a byte', binaryInput({}, { binary_data_size: 7.5 }), ROW, 'got 7.5'],
    ['a size in text', binaryInput({}, { binary_data_size: '8' }), ROW, 'got a string'],
    ['a size beyond every memory', binaryInput({}, { binary_data_size: 2 ** 53 }), ROW, 'a whole number of bytes'],
    ['a shape with other bytes', binaryInput({ shape: [3] }), ROW, 'shape [3] of FP32 is 12 bytes, the binary data holds 8'],
    [
      'more elements of BYTES than there are lengths',
      binaryInput({ datatype: 'BYTES', shape: [1_000_000] }),
      ROW,
      'is at least 4000000 bytes, the binary data holds 8',
    ],
  ])('%s', (_, input, bytes, part) => {
    const error = refusalOf({ inputs: [input] }, bytes);
    expect(error).toMatchObject({ code: 'model.input_invalid', field: 'inputs[0].parameters.binary_data_size' });
    expect(error.message).toContain(part);
  });

  it('shapes of 2^53 are refused before anything is made of them', () => {
    expect(refusalOf({ inputs: [binaryInput({ shape: [2 ** 53 - 1, 2 ** 53 - 1] })] }, ROW).code).toBe('model.input_invalid');
  });

  it('bytes that no tensor speaks of', () => {
    expect(refusalOf({ inputs: [binaryInput()] }, ROW, Uint8Array.of(0))).toMatchObject({
      code: 'model.input_invalid',
      field: 'inputs',
      message: '1 bytes follow the JSON that no parameters.binary_data_size of inputs speaks of',
    });
  });

  it('data in JSON and in bytes at once', () => {
    expect(refusalOf({ inputs: [binaryInput({ data: [1, 2] })] }, ROW)).toMatchObject({ field: 'inputs[0].data' });
  });

  it('bytes that are announced without the header that says where they begin', () => {
    expect(errorOf(() => readRequest(Buffer.from(JSON.stringify({ inputs: [binaryInput()] })), {}))).toMatchObject({
      field: 'inputs[0].parameters.binary_data_size',
    });
  });

  it.each([
    ['a length that ends inside the JSON', Buffer.from('{"inputs": []}'), '5'],
    ['a body that is no JSON', Buffer.from('hello'), undefined],
    ['an empty body', Buffer.alloc(0), undefined],
    ['JSON that is not UTF-8', Buffer.from('{"id":"\u00e4"}', 'latin1'), undefined],
  ])('%s', (_, body, length) => {
    expect(errorOf(() => readRequest(body, { [HEADER_LENGTH_HEADER]: length })).code).toBe('request.malformed');
  });
});

describe('an extension that is not offered is refused, not passed over', () => {
  it('shared memory for an input', () => {
    const input = { name: 'x', shape: [1], datatype: 'FP32', parameters: { shared_memory_region: 'r' } };
    expect(refusalOf({ inputs: [input] })).toMatchObject({ field: 'inputs[0].parameters.shared_memory_region' });
  });

  it.each(['classification', 'shared_memory_region'])('%s for an output', (extension) => {
    const outputs = [{ name: 'y', parameters: { [extension]: 1 } }];
    expect(refusalOf({ inputs: [aTensor()], outputs })).toMatchObject({ field: `outputs[0].parameters.${extension}` });
  });

  it.each([
    ['binary_data of an output', { outputs: [{ name: 'y', parameters: { binary_data: 'yes' } }] }, 'outputs[0].parameters.binary_data'],
    ['binary_data_output', { parameters: { binary_data_output: 1 } }, 'parameters.binary_data_output'],
    ['parameters that are a list', { parameters: [] }, 'parameters'],
    ['outputs that are an object', { outputs: {} }, 'outputs'],
    ['an output without a name', { outputs: [{}] }, 'outputs[0].name'],
  ])('%s has to be what the protocol says', (_, over, field) => {
    expect(refusalOf({ inputs: [aTensor()], ...over })).toMatchObject({ code: 'model.input_invalid', field });
  });
});

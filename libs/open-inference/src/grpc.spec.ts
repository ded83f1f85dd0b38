import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { decodeTensor } from './codec.ts';
import { requestOfGrpc, responseToGrpc, type InferTensorContentsMessage, type ModelInferRequestMessage } from './grpc.ts';
import { encodeRequest, readRequest } from './request.ts';
import { encodeResponse, readResponse } from './response.ts';
import type { Datatype, InferenceRequest } from './types.ts';

const noContents: InferTensorContentsMessage = {
  bool_contents: [],
  int_contents: [],
  int64_contents: [],
  uint_contents: [],
  uint64_contents: [],
  fp32_contents: [],
  fp64_contents: [],
  bytes_contents: [],
};

type InputMessage = ModelInferRequestMessage['inputs'][number];

function anInput(over: Partial<InputMessage> = {}): InputMessage {
  return { name: 'x', datatype: 'FP32', shape: ['1', '2'], parameters: {}, contents: null, ...over };
}

function aMessage(over: Partial<ModelInferRequestMessage> = {}): ModelInferRequestMessage {
  return { model_name: 'm', model_version: '', id: '', parameters: {}, inputs: [anInput()], outputs: [], raw_input_contents: [], ...over };
}

const ROW = new Uint8Array(Float32Array.of(1, Number.NaN).buffer);

/** The request as the worker reads it, from the bytes that the gateway sends on. */
function asRead(message: ModelInferRequestMessage): InferenceRequest {
  const { body, headers } = encodeRequest(requestOfGrpc(message));
  return readRequest(body, headers);
}

const elements = (message: ModelInferRequestMessage): unknown[] =>
  asRead(message).inputs.map((input, index) => decodeTensor(input, `inputs[${index}]`).data);

function refusalOf(message: ModelInferRequestMessage): AppError {
  try {
    elements(message);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a call over gRPC', () => {
  it('means the same as over HTTP: id, parameters, inputs and outputs, whose elements come back as bytes', () => {
    const request = asRead(
      aMessage({
        id: 'call-7',
        parameters: {
          sequence_id: { parameter_choice: 'uint64_param', uint64_param: '18446744073709551615' },
          top_k: { parameter_choice: 'int64_param', int64_param: '3' },
          threshold: { parameter_choice: 'double_param', double_param: 0.5 },
          __proto__x: { parameter_choice: 'bool_param', bool_param: true },
        },
        outputs: [{ name: 'y', parameters: { binary_data: { parameter_choice: 'bool_param', bool_param: false } } }],
        raw_input_contents: [ROW],
      }),
    );
    expect(request).toMatchObject({
      id: 'call-7',
      parameters: { sequence_id: '18446744073709551615', top_k: 3, threshold: 0.5, __proto__x: true, binary_data_output: true },
      outputs: [{ name: 'y' }],
    });
    expect(request.outputs?.[0]?.parameters).toBeUndefined();
  });

  it('carries elements as bytes, NaN among them', () => {
    expect(elements(aMessage({ raw_input_contents: [ROW] }))).toEqual([Float32Array.of(1, Number.NaN)]);
  });

  it.each<[Datatype, Partial<InferTensorContentsMessage>, unknown]>([
    ['BOOL', { bool_contents: [true, false] }, Uint8Array.of(1, 0)],
    ['INT8', { int_contents: [-128, 127] }, Int8Array.of(-128, 127)],
    ['INT16', { int_contents: [-1, 300] }, Int16Array.of(-1, 300)],
    ['INT32', { int_contents: [1, 2] }, Int32Array.of(1, 2)],
    ['INT64', { int64_contents: ['-9223372036854775808', '1'] }, BigInt64Array.of(-(2n ** 63n), 1n)],
    ['UINT8', { uint_contents: [0, 255] }, Uint8Array.of(0, 255)],
    ['UINT16', { uint_contents: [0, 65535] }, Uint16Array.of(0, 65535)],
    ['UINT32', { uint_contents: [0, 4294967295] }, Uint32Array.of(0, 4294967295)],
    ['UINT64', { uint64_contents: ['18446744073709551615', '1'] }, BigUint64Array.of(2n ** 64n - 1n, 1n)],
    ['FP32', { fp32_contents: [0.5, Number.NaN] }, Float32Array.of(0.5, Number.NaN)],
    ['FP64', { fp64_contents: [0.1, -Infinity] }, Float64Array.of(0.1, -Infinity)],
    ['BYTES', { bytes_contents: [Buffer.from('ja'), Buffer.from([0xff])] }, [Buffer.from('ja'), Buffer.from([0xff])]],
  ])('carries elements of %s in the field of their datatype', (datatype, contents, expected) => {
    expect(elements(aMessage({ inputs: [anInput({ datatype, contents: { ...noContents, ...contents } })] }))).toEqual([expected]);
  });

  it.each<[string, Partial<ModelInferRequestMessage>, string]>([
    ['bytes for some inputs only', { inputs: [anInput(), anInput({ name: 'z' })], raw_input_contents: [ROW] }, 'raw_input_contents'],
    [
      'elements twice',
      { inputs: [anInput({ contents: { ...noContents, fp32_contents: [1, 2] } })], raw_input_contents: [ROW] },
      'inputs[0].contents',
    ],
    ['no elements', {}, 'inputs[0].contents'],
    ['FP16 in a field', { inputs: [anInput({ datatype: 'FP16', contents: noContents })] }, 'inputs[0].contents'],
    ['an unknown datatype', { inputs: [anInput({ datatype: 'FP8' })] }, 'inputs[0].datatype'],
    ['a negative size', { inputs: [anInput({ shape: ['-1', '2'] })], raw_input_contents: [ROW] }, 'inputs[0].shape[0]'],
    ['a size beyond 2^53', { inputs: [anInput({ shape: ['9223372036854775807'] })], raw_input_contents: [ROW] }, 'inputs[0].shape[0]'],
    ['fewer bytes than the shape', { raw_input_contents: [ROW.subarray(4)] }, 'inputs[0].parameters.binary_data_size'],
    [
      'an integer out of range',
      { inputs: [anInput({ datatype: 'INT8', contents: { ...noContents, int_contents: [1, 128] } })] },
      'inputs[0].data[1]',
    ],
    [
      'fewer elements than the shape',
      { inputs: [anInput({ contents: { ...noContents, fp32_contents: [1] } })] },
      'inputs[0].parameters.binary_data_size',
    ],
    ['no inputs', { inputs: [] }, 'inputs'],
    [
      'shared memory',
      { inputs: [anInput({ parameters: { shared_memory_region: { parameter_choice: 'string_param', string_param: 'r' } } })] },
      'inputs[0].parameters.shared_memory_region',
    ],
  ])('with %s is refused with the field', (_, over, field) => {
    expect(refusalOf(aMessage(over))).toMatchObject({ code: 'model.input_invalid', field });
  });
});

describe('an answer over gRPC', () => {
  const outputs = [
    { name: 'score', datatype: 'FP32' as const, shape: [1, 2], data: Float32Array.of(0.5, Number.NaN) },
    { name: 'label', datatype: 'BYTES' as const, shape: [1], data: ['ja'] },
  ];

  it('bears the elements of every output as bytes, and of the parameters what gRPC can say', () => {
    const { body, headers } = encodeResponse(
      { model_name: 'm', model_version: '1', parameters: { usage: { inputs: 1, 'input-tokens': 0 }, note: 'x', share: 0.5 }, outputs },
      { id: 'call-7', parameters: { binary_data_output: true } },
    );
    const message = responseToGrpc(readResponse(body, headers));
    expect(message).toMatchObject({
      model_name: 'm',
      model_version: '1',
      id: 'call-7',
      parameters: { note: { string_param: 'x' }, share: { double_param: 0.5 } },
      outputs: [
        { name: 'score', datatype: 'FP32', shape: [1, 2], parameters: {} },
        { name: 'label', datatype: 'BYTES', shape: [1], parameters: {} },
      ],
    });
    expect(message.raw_output_contents.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(['0000003f0000c07f', '020000006a61']);
  });

  it('of a server that answers in JSON bears bytes all the same, and what does not fit fails the model', () => {
    const answer = (data: unknown[]): Buffer =>
      Buffer.from(JSON.stringify({ model_name: 'm', outputs: [{ name: 'y', datatype: 'INT16', shape: [2], data }] }));
    expect(responseToGrpc(readResponse(answer([1, -1]), {})).raw_output_contents).toEqual([Uint8Array.of(1, 0, 255, 255)]);
    expect(() => responseToGrpc(readResponse(answer([1]), {}))).toThrowError(expect.objectContaining({ code: 'model.failed' }));
  });
});

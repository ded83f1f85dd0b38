import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { decodeTensor } from './codec.ts';
import { encodeResponse, readResponse, type TensorResponse } from './response.ts';
import { HEADER_LENGTH_HEADER, type InferenceRequest } from './types.ts';

const scores = { name: 'score', datatype: 'FP32' as const, shape: [1, 2], data: Float32Array.of(0.5, -1) };
const labels = { name: 'label', datatype: 'BYTES' as const, shape: [1, 2], data: ['ja', 'nein'] };

function anAnswer(over: Partial<TensorResponse> = {}): TensorResponse {
  return { model_name: 'm', model_version: '1', outputs: [scores, labels], ...over };
}

function aRequest(over: Partial<InferenceRequest> = {}): InferenceRequest {
  return { inputs: [], ...over };
}

const parsed = (body: Buffer): unknown => JSON.parse(body.toString());

describe('an answer is encoded as the request asked', () => {
  it('in JSON alone when it asked for nothing else', () => {
    const { headers, body } = encodeResponse(anAnswer(), aRequest({ id: 'call-7' }));
    expect(headers).toEqual({ 'content-type': 'application/json' });
    expect(parsed(body)).toEqual({
      id: 'call-7',
      model_name: 'm',
      model_version: '1',
      outputs: [
        { name: 'score', datatype: 'FP32', shape: [1, 2], data: [0.5, -1] },
        { name: 'label', datatype: 'BYTES', shape: [1, 2], data: ['ja', 'nein'] },
      ],
    });
  });

  it('in bytes behind the JSON when it asked for that, with the length of the JSON in the header', () => {
    const { headers, body } = encodeResponse(anAnswer(), aRequest({ parameters: { binary_data_output: true } }));
    expect(headers['content-type']).toBe('application/octet-stream');
    const length = Number(headers[HEADER_LENGTH_HEADER]);
    expect(parsed(body.subarray(0, length))).toMatchObject({
      outputs: [{ parameters: { binary_data_size: 8 } }, { parameters: { binary_data_size: 14 } }],
    });
    expect(body.subarray(length).toString('hex')).toBe('0000003f000080bf' + '020000006a61' + '040000006e65696e');
  });

  it('each output as it says itself, whatever the request says for all', () => {
    const { headers, body } = encodeResponse(
      anAnswer(),
      aRequest({
        parameters: { binary_data_output: true },
        outputs: [{ name: 'score' }, { name: 'label', parameters: { binary_data: false } }],
      }),
    );
    const answer = readResponse(body, headers);
    expect(answer.outputs.map(({ data }) => data instanceof Uint8Array)).toEqual([true, false]);
    const one = encodeResponse(anAnswer(), aRequest({ outputs: [{ name: 'label', parameters: { binary_data: true } }] }));
    expect(readResponse(one.body, one.headers).outputs.map(({ data }) => data instanceof Uint8Array)).toEqual([false, true]);
  });

  it('with NaN and infinities in bytes, which JSON refuses', () => {
    const odd = anAnswer({ outputs: [{ ...scores, data: Float32Array.of(Number.NaN, Infinity) }] });
    expect(() => encodeResponse(odd, aRequest())).toThrowError(expect.objectContaining({ code: 'model.failed' }));
    const { headers, body } = encodeResponse(odd, aRequest({ parameters: { binary_data_output: true } }));
    expect(readResponse(body, headers).outputs.map((output) => decodeTensor(output, 'outputs[0]').data)).toEqual([
      Float32Array.of(Number.NaN, Infinity),
    ]);
  });

  it('with bytes that are no text in base64 in JSON, and as they are otherwise', () => {
    const picture = { name: 'image', datatype: 'BYTES' as const, shape: [1], data: [Uint8Array.of(0x89, 0x50)] };
    expect(parsed(encodeResponse(anAnswer({ outputs: [picture] }), aRequest()).body)).toMatchObject({
      outputs: [{ data: ['iVA='], parameters: { content_type: 'base64' } }],
    });
    const { headers, body } = encodeResponse(anAnswer({ outputs: [picture] }), aRequest({ parameters: { binary_data_output: true } }));
    expect(body.subarray(Number(headers[HEADER_LENGTH_HEADER])).toString('hex')).toBe('020000008950');
  });

  it('not at all when an output does not fill its shape: the model failed', () => {
    const short = anAnswer({ outputs: [{ ...scores, shape: [3] }] });
    for (const request of [aRequest(), aRequest({ parameters: { binary_data_output: true } })])
      expect(() => encodeResponse(short, request)).toThrowError(expect.objectContaining({ code: 'model.failed' }));
  });
});

describe('an answer that does not have the form of the protocol is an error of the model', () => {
  it.each([
    ['text', Buffer.from('hello'), {}],
    ['a list', Buffer.from('[]'), {}],
    ['no outputs', Buffer.from('{}'), {}],
    ['a length beyond the body', Buffer.from('{}'), { [HEADER_LENGTH_HEADER]: '9' }],
    [
      'sizes that lie',
      Buffer.from('{"outputs":[{"name":"y","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}'),
      { [HEADER_LENGTH_HEADER]: '92' },
    ],
  ])('%s', (_, body, headers) => {
    expect(() => readResponse(body, headers)).toThrowError(AppError);
    expect(() => readResponse(body, headers)).toThrowError(expect.objectContaining({ code: 'model.failed' }));
  });
});

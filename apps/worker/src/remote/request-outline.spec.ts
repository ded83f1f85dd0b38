import { encodeRequest, encodeResponse, readResponse, type Tensor } from '@weir/open-inference';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outlineOf, renamedAnswer } from './request-outline.ts';

const json = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const input = (over: Record<string, unknown> = {}) => ({ name: 'x', shape: [2, 3], datatype: 'FP32', data: [1, 2, 3, 4, 5, 6], ...over });
const refusal = (body: Buffer, headers = {}) => {
  try {
    outlineOf(body, headers);
    return null;
  } catch (error) {
    return error;
  }
};

describe('the outline of a request', () => {
  it('has what it says of its inputs in JSON and in bytes, whatever the elements are', () => {
    const request = {
      inputs: [
        { name: 'text', shape: [2], datatype: 'BYTES' as const, data: ['a "]}', '\\'] },
        { name: 'x', shape: [1, 2], datatype: 'FP32' as const, data: new Uint8Array(8) },
      ],
    };
    const { headers, body } = encodeRequest(request);
    expect(outlineOf(body, headers)).toEqual({
      inputs: [
        { name: 'text', shape: [2], isBinary: false },
        { name: 'x', shape: [1, 2], isBinary: true },
      ],
    });
  });

  it.each([
    ['no JSON', 'inputs', 'request.malformed', undefined],
    ['an array', [1], 'request.malformed', undefined],
    ['a name twice', '{"inputs": [], "inputs": [{"name": "x"}]}', 'request.malformed', undefined],
    ['no inputs', {}, 'model.input_invalid', 'inputs'],
    ['empty inputs', { inputs: [] }, 'model.input_invalid', 'inputs'],
    ['inputs that are none', { inputs: [1] }, 'model.input_invalid', 'inputs[0]'],
    ['a shape that is none', { inputs: [input({ shape: [-1] })] }, 'model.input_invalid', 'inputs[0].shape'],
    ['no name', { inputs: [input({ name: '' })] }, 'model.input_invalid', 'inputs[0].name'],
    ['65 inputs', { inputs: Array.from({ length: 65 }, () => input()) }, 'request.too_large', 'inputs'],
    ['65 outputs', { inputs: [input()], outputs: Array.from({ length: 65 }, () => ({ name: 'y' })) }, 'request.too_large', 'outputs'],
  ])('of a body with %s is refused', (_, body, code, field) => {
    expect(refusal(json(body))).toMatchObject({ code, field });
  });

  it('of a request that names a region of shared memory is refused: it would read what is another caller’s there', () => {
    const region = { shared_memory_region: 'secrets', shared_memory_byte_size: 64 };
    for (const body of [
      { inputs: [input({ parameters: region, data: undefined })] },
      { inputs: [input()], outputs: [{ name: 'y', parameters: region }] },
      '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"sh\\u0061red_memory_region": "secrets"}}]}',
    ])
      expect(refusal(json(body))).toMatchObject({ code: 'model.input_invalid' });
    // A reader that takes the first of two must not see another than this one.
    const twice =
      '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {}, "parameters": {"shared_memory_region": "s"}}]}';
    expect(refusal(json(twice))).toMatchObject({ code: 'request.malformed' });
  });

  it.each([['0'], ['999'], ['-1'], ['1e2'], ['']])('with a length of its JSON of %j is refused', (length) => {
    expect(refusal(json({ inputs: [input()] }), { 'inference-header-content-length': length })).toMatchObject({
      code: 'model.input_invalid',
      field: 'inference-header-content-length',
    });
  });
});

const NAMES = { model_name: 'acme/résumé "x"', model_version: '1.0', usage: { inputs: 3, 'input-tokens': 0 } };

describe('an answer that is handed on', () => {
  const tensors: fc.Arbitrary<Tensor[]> = fc.array(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 5 }),
      datatype: fc.constant('FP32' as const),
      shape: fc.constant([4]),
      data: fc.float32Array({ minLength: 4, maxLength: 4, noNaN: true, noDefaultInfinity: true }),
    }),
    { minLength: 1, maxLength: 3 },
  );

  it('bears the public names and the counts, and the same tensors to the last bit, in JSON and in bytes', () => {
    fc.assert(
      fc.property(tensors, fc.boolean(), fc.option(fc.string(), { nil: undefined }), (some, isBinary, id) => {
        const outputs = some.map((tensor, index) => ({ ...tensor, name: `${index} ${tensor.name}` }));
        const request = { ...(id === undefined ? {} : { id }), parameters: { binary_data_output: isBinary } };
        const theirs = encodeResponse({ model_name: 'theirs', model_version: '7', parameters: {}, outputs }, request);
        const ours = renamedAnswer(theirs, NAMES);
        const answer = readResponse(ours.body, ours.headers);
        expect(answer).toMatchObject({ model_name: NAMES.model_name, model_version: '1.0', parameters: { usage: NAMES.usage } });
        expect(answer.id).toBe(id);
        expect(answer.outputs).toEqual(readResponse(theirs.body, theirs.headers).outputs);
      }),
    );
  });

  it('keeps numbers that JavaScript cannot hold, and what else the server says', () => {
    const theirs =
      '{"outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[9007199254740993]}],"parameters":{"sequence_id":7,"usage":1}}';
    const { body } = renamedAnswer({ headers: {}, body: json(theirs) }, NAMES);
    expect(body.toString()).toContain('"data":[9007199254740993]');
    expect(JSON.parse(body.toString())).toMatchObject({ model_name: NAMES.model_name, parameters: { sequence_id: 7, usage: NAMES.usage } });
  });

  it.each([
    ['nothing', ''],
    ['a page', '<html>'],
    ['half an answer', '{"outputs": ['],
  ])('that is %s is the failure of the model', (_, body) => {
    expect(() => renamedAnswer({ headers: {}, body: Buffer.from(body) }, NAMES)).toThrowError(
      expect.objectContaining({ code: 'model.failed' }),
    );
  });
});

import type { Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { decodeTensor, readRequest, type Tensor } from '@weir/open-inference';
import { describe, expect, test } from 'vitest';
import { inArguments, requestOf, type CallPlace, type TypedCall } from './model-input.ts';
import type { ModelInput } from './model-input.types.ts';

const PLACE: CallPlace = { input: 'input.input', options: 'input.options', sequence: 'input.sequence' };
const PNG = Buffer.from('89504e470d0a1a0a00', 'hex');

/** What the worker reads. */
function sent(call: TypedCall, task: Task): { readonly tensors: readonly Tensor[]; readonly parameters: unknown } {
  const { headers, body } = requestOf(call, task, PLACE);
  const { inputs, parameters } = readRequest(body, headers);
  return { tensors: inputs.map((input, index) => decodeTensor(input, `inputs[${index}]`)), parameters };
}

const bytes = (...elements: Buffer[]): unknown[] =>
  elements.map((element) => expect.objectContaining({ length: element.length }) as unknown);

describe('a typed input reaches the worker as the tensor of its task', () => {
  test.each<[Task, ModelInput, Partial<Tensor>]>([
    ['text-classification', { text: 'good' }, { name: 'text', shape: [1], datatype: 'BYTES', data: ['good'] }],
    ['token-classification', { texts: ['a', 'b'] }, { name: 'text', shape: [2], datatype: 'BYTES', data: ['a', 'b'] }],
    ['feature-extraction', { texts: ['a'] }, { name: 'text', shape: [1], datatype: 'BYTES', data: ['a'] }],
    [
      'image-classification',
      { image: { base64: PNG.toString('base64') } },
      { name: 'image', shape: [1], datatype: 'BYTES', data: bytes(PNG) as Uint8Array[] },
    ],
    [
      'object-detection',
      { images: [{ base64: PNG.toString('base64') }, { base64: 'aGk=' }] },
      { name: 'image', shape: [2], datatype: 'BYTES', data: bytes(PNG, Buffer.from('hi')) as Uint8Array[] },
    ],
    [
      'voice-activity-detection',
      { audio: { base64: 'UklGRg==' } },
      { name: 'audio', shape: [1], datatype: 'BYTES', data: bytes(Buffer.from('RIFF')) as Uint8Array[] },
    ],
    ['tabular-regression', { record: { age: 41, city: 'Ulm' } }, { name: 'record', shape: [1], data: ['{"age":41,"city":"Ulm"}'] }],
    ['tabular-classification', { records: [{ a: 1 }, { a: 2 }] }, { name: 'record', shape: [2], data: ['{"a":1}', '{"a":2}'] }],
    ['recommendation', { user: 'ann' }, { name: 'user', shape: [1], datatype: 'BYTES', data: ['ann'] }],
    ['recommendation', { users: ['ann', 'bob'] }, { name: 'user', shape: [2], data: ['ann', 'bob'] }],
    ['image-generation', { seed: 7 }, { name: 'seed', shape: [1], datatype: 'INT64', data: BigInt64Array.of(7n) }],
    ['image-generation', { seeds: [0, 1] }, { name: 'seed', shape: [2], data: BigInt64Array.of(0n, 1n) }],
    ['image-generation', { latent: [0.5, -1] }, { name: 'latent', shape: [1, 2], datatype: 'FP32', data: Float32Array.of(0.5, -1) }],
    ['image-generation', { latents: [[1], [2]] }, { name: 'latent', shape: [2, 1], datatype: 'FP32', data: Float32Array.of(1, 2) }],
  ])('for %s: %j', (task, input, tensor) => {
    const { tensors, parameters } = sent({ input }, task);
    expect(tensors).toEqual([expect.objectContaining(tensor)]);
    expect(parameters).toEqual({ binary_data_output: true });
  });

  test('pictures and sound as the very bytes of the file', () => {
    const { tensors } = sent({ input: { image: { base64: PNG.toString('base64') } } }, 'image-classification');
    expect(tensors.map(({ data }) => (data as Uint8Array[]).map((element) => Buffer.from(element)))).toEqual([[PNG]]);
  });

  test('raw tensors of every datatype, numbers as bytes', () => {
    const input: ModelInput = {
      tensors: [
        {
          name: 'f',
          datatype: 'FP32',
          shape: [2, 2],
          data: [
            [1, 2],
            [3, 4],
          ],
        },
        { name: 'i', datatype: 'INT64', shape: [2], data: [9_007_199_254_740_991, -1] },
        { name: 'h', datatype: 'FP16', shape: [1], data: [1.5] },
        { name: 'b', datatype: 'BOOL', shape: [2], data: [true, false] },
        { name: 's', datatype: 'BYTES', shape: [2], data: ['ä', ''] },
        { name: 'scalar', datatype: 'FP64', shape: [], data: [0.1] },
      ],
    };
    expect(sent({ input }, 'tensors').tensors).toEqual([
      { name: 'f', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
      { name: 'i', datatype: 'INT64', shape: [2], data: BigInt64Array.of(9_007_199_254_740_991n, -1n) },
      { name: 'h', datatype: 'FP16', shape: [1], data: Uint16Array.of(0x3e00) },
      { name: 'b', datatype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) },
      { name: 's', datatype: 'BYTES', shape: [2], data: ['ä', ''] },
      { name: 'scalar', datatype: 'FP64', shape: [], data: Float64Array.of(0.1) },
    ]);
  });

  test('options and the place in a sequence as parameters', () => {
    expect(sent({ input: { text: 'a' }, options: { topK: 3 } }, 'text-classification').parameters).toMatchObject({ top_k: 3 });
    expect(sent({ input: { image: { base64: 'aGk=' } }, options: { threshold: 0.3, topK: null } }, 'object-detection').parameters).toEqual({
      threshold: 0.3,
      binary_data_output: true,
    });
    const sequence = { id: 'talk', start: true };
    expect(sent({ input: { audio: { base64: 'aGk=' } }, sequence }, 'voice-activity-detection').parameters).toMatchObject({
      sequence_id: 'talk',
      sequence_start: true,
      sequence_end: false,
    });
    const raw: ModelInput = { tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] };
    expect(sent({ input: raw, sequence: { id: 'talk', end: true } }, 'tensors').parameters).toMatchObject({ sequence_end: true });
  });
});

const tensor = (over: object): ModelInput => ({ tensors: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2], ...over }] });

describe('what does not fit is refused by the path of its field, with what was expected and what came', () => {
  test.each<[string, Task, TypedCall, string, string, string]>([
    [
      'of another task',
      'image-classification',
      { input: { text: 'a' } },
      'model.input_invalid',
      'input.input.text',
      'takes image or images or tensors, got text',
    ],
    [
      'for a model of raw tensors',
      'tensors',
      { input: { text: 'a' } },
      'model.input_invalid',
      'input.input.text',
      'takes tensors, got text',
    ],
    ['without items', 'text-classification', { input: { texts: [] } }, 'request.invalid', 'input.input.texts', 'at least one item'],
    [
      'that is no base64',
      'image-classification',
      { input: { image: { base64: 'not base64!' } } },
      'model.image_invalid',
      'input.input.image.base64',
      '11 characters',
    ],
    [
      'that is a data address',
      'image-classification',
      { input: { image: { base64: 'data:image/png;base64,aGk=' } } },
      'model.image_invalid',
      'input.input.image.base64',
      'base64',
    ],
    [
      'that is empty',
      'image-classification',
      { input: { images: [{ base64: 'aGk=' }, { base64: '' }] } },
      'model.image_invalid',
      'input.input.images[1].base64',
      '0 characters',
    ],
    [
      'of sound that is no base64',
      'voice-activity-detection',
      { input: { audio: { base64: '====' } } },
      'model.audio_invalid',
      'input.input.audio.base64',
      'base64',
    ],
    [
      'that is no record',
      'tabular-regression',
      { input: { record: [1] } },
      'request.invalid',
      'input.input.record',
      'a JSON object from features to values, got an array',
    ],
    [
      'of a record in a record',
      'tabular-regression',
      { input: { records: [{}, { age: { years: 4 } }] } },
      'request.invalid',
      'input.input.records[1].age',
      'got an object',
    ],
    [
      'of a negative seed',
      'image-generation',
      { input: { seeds: [1, -1] } },
      'request.invalid',
      'input.input.seeds[1]',
      'from 0 to 2147483647, got -1',
    ],
    [
      'of latents of two lengths',
      'image-generation',
      { input: { latents: [[1, 2], [1]] } },
      'request.invalid',
      'input.input.latents[1]',
      '2 numbers like the first, got 1',
    ],
    [
      'of a latent too large for FP32',
      'image-generation',
      { input: { latent: [0, 1e39] } },
      'request.invalid',
      'input.input.latent[1]',
      'got 1e+39',
    ],
    ['of an empty latent', 'image-generation', { input: { latent: [] } }, 'request.invalid', 'input.input.latent', 'got none'],
    ['without tensors', 'tensors', { input: { tensors: [] } }, 'model.input_invalid', 'input.input.tensors', 'an empty array'],
    [
      'of a tensor with a wrong element',
      'tensors',
      { input: tensor({ data: [1, null] }) },
      'model.input_invalid',
      'input.input.tensors[0].data[1]',
      'FP32',
    ],
    [
      'of a tensor with a text',
      'tensors',
      { input: tensor({ data: ['NaN', 1] }) },
      'model.input_invalid',
      'input.input.tensors[0].data[0]',
      'a string',
    ],
    [
      'of a tensor with too few elements',
      'tensors',
      { input: tensor({ data: [1] }) },
      'model.input_invalid',
      'input.input.tensors[0].data',
      '2 elements, data holds 1',
    ],
    [
      'of a tensor without elements',
      'tensors',
      { input: tensor({ data: 7 }) },
      'model.input_invalid',
      'input.input.tensors[0].data',
      'a number',
    ],
    [
      'of a tensor with a shape that is none',
      'tensors',
      { input: tensor({ shape: [-1] }) },
      'model.input_invalid',
      'input.input.tensors[0].shape[0]',
      'at least 0, got -1',
    ],
    [
      'of a tensor without a name',
      'tensors',
      { input: tensor({ name: '' }) },
      'model.input_invalid',
      'input.input.tensors[0].name',
      '0 characters',
    ],
    [
      'of a tensor that is too large',
      'tensors',
      { input: tensor({ shape: [1e9] }) },
      'model.input_invalid',
      'input.input.tensors[0].shape',
      'at most 8000000 are allowed',
    ],
    [
      'with a choice that the task has not',
      'feature-extraction',
      { input: { text: 'a' }, options: { topK: 1 } },
      'request.invalid',
      'input.options.topK',
      'no such choice',
    ],
    [
      'with a choice for raw tensors',
      'text-classification',
      { input: tensor({}), options: { topK: 1 } },
      'request.invalid',
      'input.options.topK',
      'raw tensors',
    ],
    [
      'in a sequence without a state',
      'text-classification',
      { input: { text: 'a' }, sequence: { id: 'talk' } },
      'request.invalid',
      'input.sequence',
      'keeps no state',
    ],
    [
      'in a sequence without a name',
      'voice-activity-detection',
      { input: { audio: { base64: 'aGk=' } }, sequence: { id: '' } },
      'request.invalid',
      'input.sequence.id',
      '1 to 128',
    ],
  ])('%s', (_, task, call, code, field, part) => {
    let thrown: unknown;
    try {
      requestOf(call, task, PLACE);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code, field, message: expect.stringContaining(part) as string });
    expect(String(thrown)).not.toContain('inputs[');
  });
});

describe("the worker's error names the field of the mutation", () => {
  const place: CallPlace = { ...PLACE, input: 'input.inputs[7]' };
  test.each<[string, TypedCall, string]>([
    ['inputs[0].data[0]', { input: { text: 'a' } }, 'input.inputs[7].text'],
    ['inputs[0].data[3]', { input: { texts: ['a'] } }, 'input.inputs[7].texts[3]'],
    ['inputs[0].shape', { input: { texts: ['a'] } }, 'input.inputs[7].texts'],
    ['inputs', { input: { text: 'a' } }, 'input.inputs[7].text'],
    ['inputs[0].data[0]', { input: { image: { base64: '' } } }, 'input.inputs[7].image.base64'],
    ['inputs[0].data[2]', { input: { images: [] } }, 'input.inputs[7].images[2].base64'],
    ['inputs[0].data[1].age', { input: { records: [] } }, 'input.inputs[7].records[1].age'],
    ['inputs[0].data[0].age', { input: { record: {} } }, 'input.inputs[7].record.age'],
    [
      'inputs[0].data[5]',
      {
        input: {
          latents: [
            [1, 2],
            [3, 4],
            [5, 6],
          ],
        },
      },
      'input.inputs[7].latents[2][1]',
    ],
    ['inputs[0].data[5]', { input: { latent: [1, 2, 3, 4, 5, 6] } }, 'input.inputs[7].latent[5]'],
    ['inputs[0].data[0]', { input: { seed: 1 } }, 'input.inputs[7].seed'],
    ['inputs[1].data[3]', { input: tensor({}) }, 'input.inputs[7].tensors[1].data[3]'],
    ['inputs[0].shape[1]', { input: tensor({}) }, 'input.inputs[7].tensors[0].shape[1]'],
    ['parameters.top_k', { input: { text: 'a' } }, 'input.options.topK'],
    ['parameters.threshold', { input: { text: 'a' } }, 'input.options.threshold'],
    ['parameters.sequence_id', { input: { text: 'a' } }, 'input.sequence.id'],
    ['x-weir-timeout-ms', { input: { text: 'a' } }, 'x-weir-timeout-ms'],
    ['inputs[0]\nx', { input: { text: 'a' } }, 'input.inputs[7].text'],
  ])('%s of %j', (field, call, expected) => {
    const error = new AppError('model.input_invalid', { field, message: `${field} must be another`, retryAfterMs: 5 });
    expect(inArguments(error, call, place)).toMatchObject({
      code: 'model.input_invalid',
      field: expected,
      message: `${expected} must be another`,
      retryAfterMs: 5,
    });
  });

  test('and an error without one stays as it is', () => {
    for (const error of [new AppError('model.failed'), new Error('x')])
      expect(inArguments(error, { input: { text: 'a' } }, place)).toBe(error);
  });
});

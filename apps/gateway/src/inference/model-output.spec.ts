import { taskSchema, type Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { encodeResponse, type EncodedMessage, type Tensor, type TensorData } from '@weir/open-inference';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ModelInput } from './model-input.types.ts';
import { outputOf } from './model-output.ts';

const PNG = Buffer.from('89504e470d0a1a0a00', 'hex');
const t = (name: string, datatype: Tensor['datatype'], shape: readonly number[], data: TensorData): Tensor => ({
  name,
  datatype,
  shape,
  data,
});
const texts = (name: string, shape: readonly number[], ...data: (string | Uint8Array)[]): Tensor => t(name, 'BYTES', shape, data);
const floats = (name: string, shape: readonly number[], ...data: number[]): Tensor => t(name, 'FP32', shape, Float32Array.from(data));
const ints = (name: string, shape: readonly number[], ...data: number[]): Tensor => t(name, 'INT32', shape, Int32Array.from(data));

function answered(outputs: readonly Tensor[], isBinary = true): EncodedMessage {
  return encodeResponse({ model_name: 'm', outputs }, { parameters: { binary_data_output: isBinary } });
}

const LABELS = [texts('label', [2, 2], 'a', 'b', 'c', 'd'), floats('score', [2, 2], 0.75, 0.25, 0.5, 0.5)];
const one = (outputs: readonly Tensor[]): Tensor[] =>
  outputs.map((tensor) => {
    const rest = tensor.shape.slice(1).reduce((count, size) => count * size, 1);
    return { ...tensor, shape: [1, ...tensor.shape.slice(1)], data: tensor.data.slice(0, rest) };
  });

const CASES: readonly [Task, ModelInput, readonly Tensor[], object][] = [
  [
    'image-classification',
    { images: [{ base64: 'a' }, { base64: 'b' }] },
    LABELS,
    {
      __typename: 'Classifications',
      items: [
        {
          labels: [
            { label: 'a', score: 0.75 },
            { label: 'b', score: 0.25 },
          ],
        },
        {
          labels: [
            { label: 'c', score: 0.5 },
            { label: 'd', score: 0.5 },
          ],
        },
      ],
    },
  ],
  [
    'text-classification',
    { text: 'x' },
    one(LABELS),
    {
      __typename: 'Classification',
      labels: [
        { label: 'a', score: 0.75 },
        { label: 'b', score: 0.25 },
      ],
    },
  ],
  ['tabular-classification', { record: {} }, one(LABELS), { __typename: 'Classification', labels: expect.any(Array) as unknown }],
  [
    'object-detection',
    { images: [{ base64: 'a' }, { base64: 'b' }] },
    [...LABELS, floats('box', [2, 2, 4], 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0), ints('count', [2], 2, 0)],
    {
      __typename: 'ObjectDetections',
      items: [
        {
          objects: [
            { label: 'a', score: 0.75, box: { left: 1, top: 2, right: 3, bottom: 4 } },
            { label: 'b', score: 0.25, box: { left: 5, top: 6, right: 7, bottom: 8 } },
          ],
        },
        { objects: [] },
      ],
    },
  ],
  [
    'object-detection',
    { image: { base64: 'a' } },
    [texts('label', [1, 0]), floats('score', [1, 0]), floats('box', [1, 0, 4]), ints('count', [1], 0)],
    { __typename: 'ObjectDetection', objects: [] },
  ],
  [
    'image-to-text',
    { image: { base64: 'a' } },
    [
      texts('text', [1, 1], 'Ulm'),
      floats('score', [1, 1], 0.5),
      floats('polygon', [1, 1, 4, 2], 0, 1, 2, 3, 4, 5, 6, 7),
      ints('count', [1], 1),
    ],
    {
      __typename: 'RecognisedText',
      lines: [
        {
          text: 'Ulm',
          score: 0.5,
          polygon: [
            { x: 0, y: 1 },
            { x: 2, y: 3 },
            { x: 4, y: 5 },
            { x: 6, y: 7 },
          ],
        },
      ],
    },
  ],
  [
    'token-classification',
    { texts: ['Ann in Ulm', ''] },
    [
      texts('label', [2, 2], 'PER', 'LOC', '', ''),
      floats('score', [2, 2], 0.5, 0.25, 0, 0),
      ints('start', [2, 2], 0, 7, 0, 0),
      ints('end', [2, 2], 3, 10, 0, 0),
      ints('count', [2], 2, 0),
    ],
    {
      __typename: 'TokenClassifications',
      items: [
        {
          entities: [
            { label: 'PER', score: 0.5, text: 'Ann', start: 0, end: 3 },
            { label: 'LOC', score: 0.25, text: 'Ulm', start: 7, end: 10 },
          ],
        },
        { entities: [] },
      ],
    },
  ],
  ['feature-extraction', { text: 'a' }, [floats('embedding', [1, 3], 0.5, 0.25, -1)], { __typename: 'Embedding', vector: [0.5, 0.25, -1] }],
  [
    'feature-extraction',
    { texts: ['a', 'b'] },
    [floats('embedding', [2, 1], 1, 2)],
    { __typename: 'Embeddings', items: [{ vector: [1] }, { vector: [2] }] },
  ],
  ['tabular-regression', { record: {} }, [t('value', 'FP64', [1], Float64Array.of(0.1))], { __typename: 'Regression', value: 0.1 }],
  [
    'tabular-regression',
    { records: [{}, {}] },
    [t('value', 'FP64', [2], Float64Array.of(1, 2))],
    { __typename: 'Regressions', items: [{ value: 1 }, { value: 2 }] },
  ],
  [
    'recommendation',
    { user: 'ann' },
    [texts('item', [1, 2], 'tea', 'jam'), floats('score', [1, 2], 3, 2), ints('count', [1], 2)],
    {
      __typename: 'Recommendation',
      recommended: [
        { item: 'tea', score: 3 },
        { item: 'jam', score: 2 },
      ],
    },
  ],
  [
    'recommendation',
    { users: ['ann', 'bob'] },
    [texts('item', [2, 2], 'tea', 'jam', 'tea', ''), floats('score', [2, 2], 3, 2, 1, 0), ints('count', [2], 2, 1)],
    {
      __typename: 'Recommendations',
      items: [
        {
          recommended: [
            { item: 'tea', score: 3 },
            { item: 'jam', score: 2 },
          ],
        },
        { recommended: [{ item: 'tea', score: 1 }] },
      ],
    },
  ],
  ['image-generation', { seed: 1 }, [texts('image', [1], PNG)], { __typename: 'GeneratedImage', base64: PNG.toString('base64') }],
  [
    'image-generation',
    { latents: [[1], [2]] },
    [texts('image', [2], PNG, PNG)],
    { __typename: 'GeneratedImages', items: [{ base64: PNG.toString('base64') }, { base64: PNG.toString('base64') }] },
  ],
  [
    'voice-activity-detection',
    { audio: { base64: 'a' } },
    [floats('probability', [3], 0, 1, 0.5), t('start', 'FP64', [1], Float64Array.of(0.25)), t('end', 'FP64', [1], Float64Array.of(0.5))],
    { __typename: 'SpeechActivity', frames: [0, 1, 0.5], segments: [{ startSeconds: 0.25, endSeconds: 0.5 }] },
  ],
];

const RAW: ModelInput = { tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] };

describe("a worker's answer is said in the type of the task", () => {
  test.each(CASES)('%s of %j', (task, input, outputs, expected) => {
    for (const isBinary of [true, false]) expect(outputOf(input, answered(outputs, isBinary), task)).toEqual(expected);
  });

  test('raw outputs as they are, for any task: whole numbers exactly, texts as texts', () => {
    const outputs = [
      floats('logits', [1, 2], 0.5, -1),
      t('id', 'INT64', [2], BigInt64Array.of(7n, 9_223_372_036_854_775_807n)),
      texts('word', [1], 'ä'),
      t('flag', 'BOOL', [2], Uint8Array.of(1, 0)),
      t('half', 'FP16', [1], Uint16Array.of(0x3e00)),
    ];
    for (const task of taskSchema.options) {
      const output = outputOf(RAW, answered(outputs), task);
      expect(JSON.parse(JSON.stringify(output).replace('9223372036854775807', '"9223372036854775807"'))).toEqual({
        __typename: 'Tensors',
        tensors: [
          { name: 'logits', datatype: 'FP32', shape: [1, 2], data: [0.5, -1] },
          { name: 'id', datatype: 'INT64', shape: [2], data: [7, '9223372036854775807'] },
          { name: 'word', datatype: 'BYTES', shape: [1], data: ['ä'] },
          { name: 'flag', datatype: 'BOOL', shape: [2], data: [true, false] },
          { name: 'half', datatype: 'FP16', shape: [1], data: [1.5] },
        ],
      });
    }
  });
});

describe('an answer that is none is model.failed, and never repeats what it holds', () => {
  const message = (body: Buffer | string, headers: Record<string, string> = {}): EncodedMessage => ({ headers, body: Buffer.from(body) });
  const [, , detection = []] = CASES[3] ?? [];
  const replaced = (outputs: readonly Tensor[], tensor: Tensor): Tensor[] =>
    outputs.map((old) => (old.name === tensor.name ? tensor : old));

  test.each<[string, Task, ModelInput, EncodedMessage]>([
    ['that is no JSON', 'text-classification', { text: 'x' }, message('<html>hunter2')],
    ['that is null', 'text-classification', { text: 'x' }, message('null')],
    ['without outputs', 'text-classification', { text: 'x' }, message('{"outputs":[]}')],
    ['with outputs that are none', 'tensors', RAW, message('{"outputs":[null]}')],
    ['with a length that lies', 'tensors', RAW, message('{}', { 'inference-header-content-length': '99' })],
    ['of another task', 'feature-extraction', { text: 'x' }, answered(one(LABELS))],
    ['for more items than were sent', 'text-classification', { text: 'x' }, answered(LABELS)],
    ['for fewer items than were sent', 'text-classification', { texts: ['a', 'b'] }, answered(one(LABELS))],
    [
      'with more labels than scores',
      'text-classification',
      { text: 'x' },
      answered([texts('label', [1, 2], 'a', 'b'), floats('score', [1, 1], 1)]),
    ],
    ['with numbers for labels', 'text-classification', { text: 'x' }, answered([floats('label', [1, 1], 1), floats('score', [1, 1], 1)])],
    [
      'with texts for scores',
      'text-classification',
      { text: 'x' },
      answered([texts('label', [1, 1], 'a'), texts('score', [1, 1], 'high')]),
    ],
    [
      'with a score that is no number',
      'text-classification',
      { text: 'x' },
      answered([texts('label', [1, 1], 'a'), floats('score', [1, 1], NaN)]),
    ],
    [
      'with a label that is no UTF-8',
      'text-classification',
      { text: 'x' },
      answered([texts('label', [1, 1], Buffer.from([0xff])), floats('score', [1, 1], 1)]),
    ],
    ['with an endless embedding', 'feature-extraction', { text: 'x' }, answered([floats('embedding', [1, 2], 1, Infinity)])],
    ['with an embedding in one dimension', 'feature-extraction', { text: 'x' }, answered([floats('embedding', [1], 1)])],
    ['with more objects than there are', 'object-detection', CASES[3]?.[1] ?? {}, answered(replaced(detection, ints('count', [2], 3, 0)))],
    ['with fewer than no objects', 'object-detection', CASES[3]?.[1] ?? {}, answered(replaced(detection, ints('count', [2], -1, 0)))],
    [
      'with boxes of three edges',
      'object-detection',
      CASES[3]?.[1] ?? {},
      answered(replaced(detection, floats('box', [2, 2, 3], ...Array<number>(12).fill(0)))),
    ],
    [
      'with an entity outside of the text',
      'token-classification',
      { text: 'ab' },
      answered([
        texts('label', [1, 1], 'PER'),
        floats('score', [1, 1], 1),
        ints('start', [1, 1], 1),
        ints('end', [1, 1], 3),
        ints('count', [1], 1),
      ]),
    ],
    [
      'with an entity that ends before it begins',
      'token-classification',
      { text: 'ab' },
      answered([
        texts('label', [1, 1], 'PER'),
        floats('score', [1, 1], 1),
        ints('start', [1, 1], 2),
        ints('end', [1, 1], 1),
        ints('count', [1], 1),
      ]),
    ],
    ['with a picture that is none', 'image-generation', { seed: 1 }, answered([texts('image', [1], Buffer.from('<svg onload=alert(1)>'))])],
    [
      'with speech that does not end',
      'voice-activity-detection',
      { audio: { base64: '' } },
      answered([floats('probability', [1], 1), t('start', 'FP64', [1], Float64Array.of(1)), t('end', 'FP64', [0], new Float64Array())]),
    ],
    ['with raw numbers that are none', 'tensors', RAW, answered([floats('x', [1], NaN)])],
    ['with raw bytes that are no text', 'tensors', RAW, answered([texts('x', [1], Buffer.from([0xff]))])],
  ])('%s', (_, task, input, answer) => {
    let thrown: unknown;
    try {
      outputOf(input, answer, task);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AppError);
    expect(thrown).toMatchObject({ code: 'model.failed' });
    expect((thrown as AppError).message).not.toContain('hunter2');
  });

  test('whatever it is made of', () => {
    const inputs: [Task, ModelInput][] = [...CASES.map(([task, input]): [Task, ModelInput] => [task, input]), ['tensors', RAW]];
    const names = fc.constantFrom(
      'label',
      'score',
      'count',
      'box',
      'polygon',
      'text',
      'start',
      'end',
      'embedding',
      'value',
      'item',
      'image',
      'probability',
    );
    const output = fc.record(
      {
        name: fc.oneof(names, fc.jsonValue()),
        shape: fc.oneof(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), fc.jsonValue()),
        datatype: fc.oneof(fc.constantFrom('BYTES', 'FP32', 'FP64', 'INT32', 'INT64', 'BOOL'), fc.jsonValue()),
        data: fc.oneof(fc.array(fc.oneof(fc.double(), fc.string(), fc.integer()), { maxLength: 16 }), fc.jsonValue()),
        parameters: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...inputs),
        fc.array(output, { maxLength: 6 }),
        fc.uint8Array({ maxLength: 64 }),
        ([task, input], outputs, bytes) => {
          const json = Buffer.from(JSON.stringify({ model_name: 'm', outputs }));
          const messages: EncodedMessage[] = [
            { headers: {}, body: json },
            { headers: { 'inference-header-content-length': String(json.length) }, body: Buffer.concat([json, bytes]) },
            { headers: {}, body: Buffer.from(bytes) },
          ];
          for (const answer of messages) {
            try {
              outputOf(input, answer, task);
            } catch (error) {
              if (!(error instanceof AppError) || error.code !== 'model.failed') throw error;
            }
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('or by changing an answer that was right', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CASES),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.boolean(),
        ([task, input, outputs], at, byte, isBinary) => {
          const { headers, body } = answered(outputs, isBinary);
          const changed = Buffer.from(body);
          changed[at % changed.length] = byte;
          try {
            outputOf(input, { headers, body: changed }, task);
          } catch (error) {
            if (!(error instanceof AppError) || error.code !== 'model.failed') throw error;
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { meterSchema, taskSchema, type Task } from '@weir/contracts';
import {
  decodeTensor,
  elementCount,
  elementsToBytes,
  encodeRequest,
  encodeTensor,
  readRequest,
  type InferenceUsage,
  type RequestTensor,
  type Tensor,
} from '@weir/open-inference';
import { onnxModel } from '@weir/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { exampleRequests } from '../versions/example-request.ts';
import { closeWrittenPackages, openWritten } from './package.fixture.ts';
import { fromOnnx } from './signature.ts';
import { aProcessedInput, openPackage, type OpenPackage } from './task-call.fixture.ts';
import type { RunItem } from './task.ts';

const MODELS = fileURLToPath(new URL('../../../../../models/', import.meta.url));
/** Every starter model that takes raw tensors; `read-text` has two networks and takes none. */
const STARTER_MODELS = [
  'digits',
  'emoji-group',
  'sentiment',
  'sentence-embedder',
  'digits-grid',
  'digit-generator',
  'library-recommender',
  'voice-activity',
] as const;
const METERS = meterSchema.options.filter((meter) => meter !== 'requests');

afterEach(closeWrittenPackages);

async function openStarter(name: string): Promise<OpenPackage> {
  const { task } = JSON.parse(await readFile(`${MODELS}${name}/weir.json`, 'utf8')) as { task: Task };
  return openPackage(`${MODELS}${name}`, taskSchema.parse(task));
}

type Way = 'JSON' | 'bytes';

/** Tensors that a network was fed as a caller sends them: by every surface they reach the task as one of these. */
function asRaw(tensors: readonly Tensor[], way: Way): readonly RequestTensor[] {
  const inputs = tensors.map((tensor): RequestTensor =>
    way === 'JSON' ? encodeTensor(tensor) : { ...tensor, data: elementsToBytes(tensor) },
  );
  const { body, headers } = encodeRequest({ inputs });
  return readRequest(body, headers).inputs;
}

/** Runs that a task made, as one with all their rows; null where their tensors have no axis for them. */
function concatenated(runs: readonly RunItem[]): Tensor[] | null {
  const [first] = runs;
  if (first === undefined || first.feeds.some(({ dims }) => dims[0] !== 1)) return null;
  return first.feeds.map(fromOnnx).map(({ name, datatype, shape }, index) => {
    const rows = runs.flatMap(({ feeds }) => feeds.slice(index, index + 1).map((feed) => elementsToBytes(fromOnnx(feed))));
    return decodeTensor({ name, datatype, shape: [runs.length, ...shape.slice(1)], data: Buffer.concat(rows) }, name);
  });
}

const sumOf = (usages: readonly InferenceUsage[], meter: (typeof METERS)[number]): number =>
  usages.reduce((sum, usage) => sum + (usage[meter] ?? 0), 0);

describe.each(STARTER_MODELS)('no way into %s', (name) => {
  let model: OpenPackage;
  beforeAll(async () => {
    model = await openStarter(name);
  });
  afterAll(() => model.close());

  it.each<[Way]>([['JSON'], ['bytes']])(
    'counts less of any meter than its processed input: raw tensors in %s, one by one and in one call',
    async (way) => {
      for (const request of await exampleRequests(model.version.modelPackage)) {
        const before = model.runs.length;
        const processed = await model.infer(request.inputs, { parameters: request.parameters });
        const runs = model.runs.slice(before);
        const [one, ...others] = runs;
        expect(one).toBeDefined();
        const single: InferenceUsage[] = [];
        for (const { feeds } of runs) single.push((await model.infer(asRaw(feeds.map(fromOnnx), way))).usage);
        const together = concatenated(one === undefined ? [] : [one, ...others, one]);
        const inOne = together === null ? null : (await model.infer(asRaw(together, way))).usage;
        for (const meter of METERS) {
          expect(sumOf(single, meter), meter).toBeGreaterThanOrEqual(processed.usage[meter] ?? 0);
          if (inOne !== null) expect(inOne[meter] ?? 0, meter).toBeGreaterThanOrEqual(processed.usage[meter] ?? 0);
        }
        if (inOne !== null) expect(inOne.inputs).toBe(runs.length + 1);
      }
    },
  );
});

describe('tokens of raw tensors', () => {
  let model: OpenPackage;
  beforeAll(async () => {
    model = await openStarter('sentiment');
  });
  afterAll(() => model.close());

  const raw = (rows: number, length: number): RequestTensor[] =>
    ['input_ids', 'attention_mask', 'token_type_ids'].map((name, index) => ({
      name,
      datatype: 'INT64',
      shape: [rows, length],
      data: Array.from({ length: rows * length }, (_, at) => (index === 0 ? 5 : index === 1 && at % length < length / 2 ? 1 : 0)),
    }));

  it('are all elements of the token input, padding included', async () => {
    expect((await model.infer(raw(8, 64))).usage).toEqual({ inputs: 8, 'input-tokens': 512 });
    expect((await model.infer(raw(1, 1))).usage).toEqual({ inputs: 1, 'input-tokens': 1 });
  });

  it('of 8 texts of 64 tokens cost no less than the texts', async () => {
    const text = Array.from({ length: 62 }, () => 'good').join(' ');
    const texts = await model.infer([
      aProcessedInput(
        'text',
        Array.from({ length: 8 }, () => text),
      ),
    ]);
    expect(texts.usage).toEqual({ inputs: 8, 'input-tokens': 512 });
    expect((await model.infer(raw(8, 64))).usage['input-tokens']).toBeGreaterThanOrEqual(texts.usage['input-tokens']);
  });
});

describe('seconds of audio', () => {
  let model: OpenPackage;
  beforeAll(async () => {
    model = await openStarter('voice-activity');
  });
  afterAll(() => model.close());

  const frame = (samples: number, rate: number): RequestTensor[] => [
    { name: 'input', datatype: 'FP32', shape: [1, samples], data: Array.from({ length: samples }, () => 0) },
    { name: 'sr', datatype: 'INT64', shape: [], data: [rate] },
  ];

  it('are counted of raw samples by the model’s sample rate, to the millisecond above', async () => {
    expect((await model.infer(frame(576, 16_000))).usage).toEqual({ inputs: 1, 'input-tokens': 0, 'audio-seconds': 0.036 });
  });

  it('cannot be counted at another sample rate than the model’s: such a call is refused before it runs', async () => {
    const before = model.runs.length;
    for (const rate of [8_000, -1, 0, 99_999]) {
      await expect(model.infer(frame(288, rate))).rejects.toMatchObject({ code: 'model.input_invalid', field: 'inputs[1].data' });
    }
    expect(model.runs).toHaveLength(before);
  });
});

describe('inputs of raw tensors', () => {
  const sum = (inputs: readonly { name: string; dims: readonly (number | string)[] }[]): Record<string, Uint8Array> => ({
    'model.onnx': onnxModel({
      inputs: inputs.map(({ name, dims }) => ({ name, dims: [...dims] })),
      outputs: [{ name: 'y', dims: ['n', 'm'] }],
      nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    }),
  });
  const zeros = (name: string, ...shape: number[]): RequestTensor => ({
    name,
    datatype: 'FP32',
    shape,
    data: Array.from({ length: elementCount(shape) }, () => 0),
  });

  it('are the rows of the input that has most of them, whatever the order of the inputs', async () => {
    const model = await openWritten(
      'tensors',
      sum([
        { name: 'x', dims: ['a', 2] },
        { name: 'items', dims: ['b', 2] },
      ]),
    );
    expect((await model.infer([zeros('x', 1, 2), zeros('items', 7, 2)])).usage.inputs).toBe(7);
    expect((await model.infer([zeros('x', 9, 2), zeros('items', 7, 2)])).usage.inputs).toBe(9);
  });

  it('are one for a fixed first axis of a model without a task', async () => {
    const model = await openWritten('tensors', sum([{ name: 'x', dims: [4, 'b'] }]));
    expect((await model.infer([zeros('x', 4, 3)])).usage.inputs).toBe(1);
  });
});

describe('items that a caller puts into one row', () => {
  it('count as many as they are: users of a recommender, pixels of pictures', async () => {
    const recommender = await openWritten('recommendation', {
      'model.onnx': onnxModel({
        inputs: [{ name: 'user', type: 'int64', dims: ['a', 'b'] }],
        outputs: [{ name: 'scores', dims: ['a', 2] }],
        nodes: [
          { operator: 'Gather', inputs: ['table', 'user'], outputs: ['rows'] },
          { operator: 'Reshape', inputs: ['rows', 'shape'], outputs: ['scores'] },
        ],
        initialisers: [
          { name: 'table', dims: [2, 2], data: [1, 2, 3, 4] },
          { name: 'shape', type: 'int64', dims: [2], data: [-1, 2] },
        ],
      }),
      'weir.json': { recommendation: { users: 'users.json', items: 'items.json' } },
      'users.json': ['ada', 'bob'],
      'items.json': ['a', 'b'],
    });
    const users: RequestTensor = { name: 'user', datatype: 'INT64', shape: [1, 5], data: [0, 1, 0, 1, 0] };
    expect((await recommender.infer([users])).usage.inputs).toBe(5);
  });
});

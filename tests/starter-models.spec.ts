import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { credentials, makeGenericClientConstructor, Metadata, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { encodeRequest, PROTO_LOADER_OPTIONS } from '@weir/open-inference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform } from './harness/running-platform.ts';

interface Example {
  readonly text: string | null;
  readonly imageBase64: string | null;
  readonly audioBase64: string | null;
  readonly record: unknown;
  readonly user: string | null;
  readonly seed: number | null;
  readonly requestJson: string | null;
  readonly expectedLabel: string | null;
}

interface CataloguedModel {
  readonly name: string;
  readonly task: string;
  readonly examples: readonly Example[];
}

const FOLDER = new URL('../models/', import.meta.url).pathname;
const MODELS = `{ models(first: 100, tags: ["starter"]) { nodes { name task
  examples { text imageBase64 audioBase64 record user seed requestJson expectedLabel } } } }`;
const INFER = `mutation ($input: InferInput!) { infer(input: $input) { receiptId cost { amount } output { __typename
  ... on Classification { labels { label score } } ... on ObjectDetection { objects { label box { left } } }
  ... on RecognisedText { lines { text score polygon { x y } } } ... on TokenClassification { entities { label text } }
  ... on Embedding { vector } ... on Regression { value } ... on Recommendation { recommended { item score } }
  ... on GeneratedImage { base64 } ... on SpeechActivity { frames segments { startSeconds endSeconds } } ... on Tensors { tensors { name } } } } }`;

const OUTPUT_OF_TASK: Readonly<Record<string, string>> = {
  IMAGE_CLASSIFICATION: 'Classification',
  TEXT_CLASSIFICATION: 'Classification',
  TABULAR_CLASSIFICATION: 'Classification',
  TABULAR_REGRESSION: 'Regression',
  OBJECT_DETECTION: 'ObjectDetection',
  IMAGE_TO_TEXT: 'RecognisedText',
  TOKEN_CLASSIFICATION: 'TokenClassification',
  FEATURE_EXTRACTION: 'Embedding',
  RECOMMENDATION: 'Recommendation',
  IMAGE_GENERATION: 'GeneratedImage',
  VOICE_ACTIVITY_DETECTION: 'SpeechActivity',
  TENSORS: 'Tensors',
};

const fileOf = (model: string, file: string): unknown => JSON.parse(readFileSync(path.join(FOLDER, model, file), 'utf8'));
const exampleFile = (model: string, file: string): { base64: string } => ({
  base64: readFileSync(path.join(FOLDER, model, 'examples', file)).toString('base64'),
});
const likeness = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

/** The example as it is sent; null when it is too large to be shown. */
function inputOf({ text, imageBase64, audioBase64, record, user, seed, requestJson }: Example): Record<string, unknown> | null {
  if (text !== null) return { text };
  if (imageBase64 !== null) return { image: { base64: imageBase64 } };
  if (audioBase64 !== null) return { audio: { base64: audioBase64 } };
  if (record !== null) return { record };
  if (user !== null) return { user };
  if (seed !== null) return { seed };
  return requestJson === null ? null : { tensors: (JSON.parse(requestJson) as { inputs: unknown }).inputs };
}

describe('the starter models', () => {
  let platform: RunningPlatform;
  let client: PlatformClient;
  let models: readonly CataloguedModel[];

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    client = platform.client;
    models = (await client.data<{ models: { nodes: CataloguedModel[] } }>(MODELS)).models.nodes;
  });
  afterAll(() => platform.stop());

  test('each answer the examples that the catalogue shows, in the type of their task', async () => {
    expect(models.length).toBeGreaterThanOrEqual(8);
    const wrong: string[] = [];
    for (const { name, task, examples } of models) {
      const inputs = examples.flatMap((example) => {
        const input = inputOf(example);
        return input === null ? [] : [{ input, expectedLabel: example.expectedLabel }];
      });
      if (inputs.length === 0) wrong.push(`${name} shows no example`);
      for (const { input, expectedLabel } of inputs) {
        const answer = await client.graph<{ infer: { output: { __typename: string; labels?: { label: string }[] } } }>(INFER, {
          input: { model: name, input },
        });
        const output = answer.data?.infer.output;
        if (output === undefined || output.__typename !== OUTPUT_OF_TASK[task]) wrong.push(`${name}: ${answer.text.slice(0, 300)}`);
        else if (expectedLabel !== null && output.labels?.[0]?.label !== expectedLabel)
          wrong.push(`${name}: ${expectedLabel} is expected, got ${output.labels?.[0]?.label}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('each say what they take when they are given something else', async () => {
    for (const { name, task } of models) {
      const other = task === 'RECOMMENDATION' ? { text: 'x' } : { user: 'x' };
      const { errors } = await client.graph(INFER, { input: { model: name, input: other } });
      expect(errors?.[0]?.extensions, name).toMatchObject({
        code: 'model.input_invalid',
        field: expect.stringMatching(/^input\.input\.(text|user)$/),
      });
      expect(errors?.[0]?.message, name).toMatch(/takes .*tensors, got/);
    }
  });

  async function outputOf<T>(model: string, input: Record<string, unknown>): Promise<T> {
    return (await client.data<{ infer: { output: T } }>(INFER, { input: { model, input } })).infer.output;
  }

  test('read a picture of text line by line', async () => {
    const { examples } = fileOf('read-text', 'weir.json') as { examples: { expected: { text: string[] } }[] };
    const { lines } = await outputOf<{ lines: { text: string }[] }>('read-text', { image: exampleFile('read-text', 'note.png') });
    expect(lines.map((line) => line.text)).toEqual(examples[0]?.expected.text);
  });

  test('hear speech where somebody speaks, and none in noise', async () => {
    interface Heard {
      readonly segments: readonly { readonly startSeconds: number; readonly endSeconds: number }[];
    }
    const speech = await outputOf<Heard>('voice-activity', { audio: exampleFile('voice-activity', 'speech.wav') });
    const seconds = speech.segments.reduce((sum, { startSeconds, endSeconds }) => sum + endSeconds - startSeconds, 0);
    expect(seconds).toBeGreaterThan(1);
    expect((await outputOf<Heard>('voice-activity', { audio: exampleFile('voice-activity', 'noise.wav') })).segments).toEqual([]);
  });

  test('do not recommend to a project what it is known to use', async () => {
    const { inkscape = [] } = fileOf('library-recommender', 'seen.json') as { inkscape?: number[] };
    const items = fileOf('library-recommender', 'items.json') as { id: string }[];
    const known = new Set(inkscape.map((at) => items[at]?.id));
    const { recommended } = await outputOf<{ recommended: { item: string }[] }>('library-recommender', { user: 'inkscape' });
    expect(known.size).toBeGreaterThan(5);
    expect(recommended.length).toBeGreaterThan(5);
    expect(recommended.filter(({ item }) => known.has(item))).toEqual([]);
  });

  test('draw the same digit from the same seed, and another from another', async () => {
    const [first, again, other] = await Promise.all([1, 1, 2].map((seed) => outputOf<{ base64: string }>('digit-generator', { seed })));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    const { labels } = await outputOf<{ labels: { score: number }[] }>('digits', { image: { base64: first?.base64 } });
    expect(labels[0]?.score).toBeGreaterThan(0.3);
  });

  test('put sentences that mean alike closer together than others', async () => {
    const [battery = [], charge = [], king = []] = await Promise.all(
      ['The battery runs out very quickly.', 'It does not hold its charge for long.', 'The king died without an heir.'].map(
        async (text) => (await outputOf<{ vector: number[] }>('sentence-embedder', { text })).vector,
      ),
    );
    expect(battery).toHaveLength(128);
    expect(likeness(battery, battery)).toBeCloseTo(1, 4);
    expect(likeness(battery, charge)).toBeGreaterThan(likeness(battery, king) + 0.1);
  });

  test('cost the same as tensors as they do as texts, on every surface', async () => {
    const [rows, length] = [8, 64];
    // 62 words of one token each, between the two that the tokenizer adds.
    const texts = await client.infer('sentiment', {
      texts: Array.from({ length: rows }, () => Array.from({ length: 62 }, () => 'good').join(' ')),
    });
    expect(texts.usage).toContainEqual({ meter: 'input-tokens', quantity: String(rows * length) });

    const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name, index) => ({
      name,
      shape: [rows, length],
      datatype: 'INT64' as const,
      data: Array.from({ length: rows * length }, () => (index === 2 ? 0 : 1)),
    }));
    const costs = new Map<string, string>();
    costs.set('GraphQL', (await client.infer('sentiment', { tensors: inputs })).cost.amount);
    costs.set('JSON', costOf((await client.openInfer('sentiment', { inputs })).headers.get('x-weir-cost')));
    const binary = encodeRequest({
      inputs: inputs.map((input) => ({ ...input, data: new Uint8Array(BigInt64Array.from(input.data, BigInt).buffer) })),
    });
    const sent = await client.fetch('/v2/models/sentiment/infer', {
      method: 'POST',
      headers: binary.headers,
      body: new Uint8Array(binary.body),
    });
    costs.set('bytes', costOf(sent.headers.get('x-weir-cost')));
    costs.set('gRPC', costOf(await costOverGrpc(inputs)));
    for (const [surface, cost] of costs) expect(Number(cost), surface).toBeGreaterThanOrEqual(Number(texts.cost.amount));
  });

  /** The trailer `x-weir-cost` of a call by gRPC. */
  async function costOverGrpc(
    inputs: readonly {
      readonly name: string;
      readonly shape: readonly number[];
      readonly datatype: string;
      readonly data: readonly number[];
    }[],
  ): Promise<string | null> {
    const file = createRequire(import.meta.url).resolve('@weir/open-inference/grpc_service.proto');
    const definition = loadSync(file, PROTO_LOADER_OPTIONS)['inference.GRPCInferenceService'] as ServiceDefinition;
    const Client = makeGenericClientConstructor(definition, 'GRPCInferenceService');
    const grpc = new Client(platform.grpcAddress, credentials.createInsecure());
    const { path: method, requestSerialize, responseDeserialize } = definition['ModelInfer'] ?? {};
    if (method === undefined || requestSerialize === undefined || responseDeserialize === undefined)
      throw new Error('no method ModelInfer');
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${platform.demo.WEIR_API_KEY}`);
    const message = {
      model_name: 'sentiment',
      inputs: inputs.map(({ data, ...input }) => ({ ...input, contents: { int64_contents: data } })),
    };
    try {
      return await new Promise((resolve, reject) => {
        const call = grpc.makeUnaryRequest(method, requestSerialize, responseDeserialize, message, metadata, {}, (error) => {
          if (error !== null) reject(error);
        });
        call.on('status', ({ metadata: trailers }) => resolve(trailers.get('x-weir-cost')[0]?.toString() ?? null));
      });
    } finally {
      grpc.close();
    }
  }
});

/** The amount of `0.0770 EUR`. */
function costOf(header: string | null): string {
  return /^([\d.]+) EUR$/.exec(header ?? '')?.[1] ?? 'no cost';
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateDeterministicEmbedding, LLMock } from '@copilotkit/aimock';
import { INTERNAL_TOKEN_HEADER } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { encodeRequest } from '@weir/open-inference';
import { eventually } from '@weir/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestWorker, type TestWorker } from '../worker.fixture.ts';
import { refusing, standInFrontOf } from './other-server.fixture.ts';

// aimock (npm, MIT) stands in for a server of OpenAI's API: it checks keys, and gives each text a vector of its own.

const KEY = 'sk-of-the-operator';
const MODEL = 'text-embedding-3-small';

let openai: LLMock;
let worker: TestWorker;
let embedder: PlacementState;
let secrets: string;
const logged: string[] = [];

const place = (model: string, over: Record<string, unknown> = {}, task: PlacementState['task'] = 'feature-extraction') =>
  worker.place(model, task, new Map(), {
    backend: { kind: 'openai', url: `${openai.url}/v1`, model: MODEL, secret: 'key', ...over } as NonNullable<PlacementState['backend']>,
  });

beforeAll(async () => {
  secrets = await mkdtemp(join(tmpdir(), 'weir-secrets-'));
  await writeFile(join(secrets, 'key'), KEY, { mode: 0o600 });
  await writeFile(join(secrets, 'wrong'), 'sk-of-somebody-else', { mode: 0o600 });
  openai = new LLMock({ port: 0, auth: { apiKeys: [KEY] } });
  await openai.start();
  worker = await startTestWorker(
    { WEIR_BACK_ENDS_ALLOW_LOCAL: 'true', WEIR_WORKER_SECRETS_DIR: secrets, WEIR_WORKER_HEALTH_INTERVAL_MS: '200' },
    (line) => logged.push(line),
  );
  embedder = await place('embedder');
  await worker.announced(embedder.versionId, 'ready');
});

afterAll(async () => {
  await worker.close();
  await openai.stop();
  await rm(secrets, { recursive: true, force: true });
});

afterEach(async () => {
  await worker.announced(embedder.versionId, 'ready');
});

const texts = (...data: string[]) => ({ inputs: [{ name: 'text', shape: [data.length], datatype: 'BYTES', data }] });
const sent = () => openai.getRequests().filter(({ path }) => path === '/v1/embeddings');

describe('a model that a server of OpenAI’s API runs', () => {
  it('gives a vector for each text, in their order, and counts the texts', async () => {
    const some = ['good', 'bad', 'Grüße, 世界 🙂'];
    const answer = await worker.infer('embedder', { id: 'call-1', ...texts(...some) }, { 'x-weir-model-name': 'embedder-of-acme' });
    const vectors = some.map((text) => generateDeterministicEmbedding(text));
    expect(answer).toMatchObject({
      status: 200,
      body: {
        id: 'call-1',
        model_name: 'embedder-of-acme',
        model_version: embedder.version,
        parameters: { usage: { inputs: 3 } },
        outputs: [{ name: 'embedding', datatype: 'FP32', shape: [3, vectors[0]?.length] }],
      },
    });
    expect(answer.body.outputs?.[0]?.data.map(Number)).toEqual(vectors.flat().map(Math.fround));
    expect(answer.headers.get('x-weir-usage')).toMatch(/^inputs=3,input-tokens=\d+$/);
    expect(sent().at(-1)).toMatchObject({ method: 'POST', body: { model: MODEL } });
  });

  it('takes texts as bytes, and gives its vectors as bytes', async () => {
    const element = Buffer.from('good');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(element.length);
    const message = encodeRequest({
      parameters: { binary_data_output: true },
      inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: Buffer.concat([length, element]) }],
    });
    const answer = await fetch(`${worker.urlOf(embedder)}/v2/models/embedder/infer`, {
      method: 'POST',
      headers: { ...message.headers, [INTERNAL_TOKEN_HEADER]: await worker.token() },
      body: new Uint8Array(message.body),
    });
    const header = Number(answer.headers.get('inference-header-content-length'));
    const bytes = new Uint8Array(await answer.arrayBuffer()).slice(header);
    expect([...new Float32Array(bytes.buffer)]).toEqual(generateDeterministicEmbedding('good').map(Math.fround));
  });

  it('describes itself by what its task takes and gives', async () => {
    expect(await (await worker.get('/v2/models/embedder')).json()).toMatchObject({
      platform: 'openai',
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
      outputs: [{ name: 'embedding', datatype: 'FP32', shape: [-1, -1] }],
      parameters: { task: 'feature-extraction' },
    });
  });

  it.each([
    ['another input', { inputs: [{ name: 'x', shape: [1], datatype: 'BYTES', data: ['a'] }] }, 'inputs'],
    ['two inputs', { inputs: [...texts('a').inputs, { name: 'b', shape: [1], datatype: 'BYTES', data: ['a'] }] }, 'inputs'],
    ['numbers for text', { inputs: [{ name: 'text', shape: [1], datatype: 'FP32', data: [1] }] }, 'inputs[0].datatype'],
    ['no text', { inputs: [{ name: 'text', shape: [0], datatype: 'BYTES', data: [] }] }, 'inputs[0].shape'],
    ['an output that it has not', { ...texts('a'), outputs: [{ name: 'logits' }] }, 'outputs[0].name'],
  ])('is not called for %s: the field is named', async (_, body, field) => {
    const before = sent().length;
    const answer = await worker.infer('embedder', body);
    expect([answer.status, decodeURIComponent(answer.headers.get('x-weir-error-field') ?? '')]).toEqual([400, field]);
    expect(sent()).toHaveLength(before);
  });

  it('refuses more texts than a call may hold, as one of Weir’s own does', async () => {
    const answer = await worker.infer('embedder', texts(...Array.from({ length: 65 }, () => 'a')));
    expect([answer.status, answer.body.error]).toEqual([413, 'a call may hold 64 items, got 65']);
  });
});

describe('a server of OpenAI’s API that', () => {
  it.each([
    [400, { message: 'input is too long for http://10.0.0.7/internal' }, 400, 'model.input_invalid', 'refused the call with status 400.'],
    [401, { message: `Incorrect API key provided: ${KEY}` }, 503, 'worker.unreachable', 'could not answer'],
    [429, { message: 'Rate limit reached' }, 429, 'worker.overloaded', ''],
    [500, { message: 'The server had an error' }, 503, 'worker.unreachable', 'could not answer'],
  ])('answers %i is %s to the caller', async (theirs, body, status, code, part) => {
    openai.nextRequestError(theirs, body);
    const answer = await worker.infer('embedder', texts('a'));
    expect([answer.status, answer.headers.get('x-weir-error-code')]).toEqual([status, code]);
    expect(answer.body.error).toContain(part);
    expect(JSON.stringify(answer.body)).not.toContain(body.message);
    expect(logged.join('\n')).not.toContain(body.message);
    expect(JSON.stringify(answer.body)).not.toContain(KEY);
    expect(logged.join('\n')).not.toContain(KEY);
  });

  it('does not take the secret is not ready, and its owner is told so without the secret', async () => {
    const refused = await place('refused', { secret: 'wrong' });
    const { error } = await eventually(async () => {
      const found = await worker.announced(refused.versionId, 'loading');
      return found.error === undefined ? undefined : found;
    });
    expect(error).toBe('The server that runs the model answered with status 401.');
    const before = sent().length;
    const answer = await fetch(`${worker.urlOf(embedder)}/v2/models/refused/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [INTERNAL_TOKEN_HEADER]: await worker.token() },
      body: JSON.stringify(texts('a')),
    });
    expect([answer.status, answer.headers.get('x-weir-error-code')]).toEqual([503, 'model.not_ready']);
    expect(sent()).toHaveLength(before);
    await writeFile(join(secrets, 'wrong'), KEY, { mode: 0o600 });
    // Put right, it is found at the next look.
    await worker.announced(refused.versionId, 'ready');
    await worker.unplace(refused);
  });

  it('has no such model is not ready', async () => {
    const unknown = await place('unknown', { model: 'nobody' });
    const { error } = await eventually(async () => {
      const found = await worker.announced(unknown.versionId, 'loading');
      return found.error === undefined ? undefined : found;
    });
    expect(error).toBe('The server that is to run the model has none of that name.');
    await worker.unplace(unknown);
  });

  it('claims more tokens than the texts can explain is metered at what they can, which is counted and logged without the texts', async () => {
    const front = await standInFrontOf(
      () => openai.url,
      async () => ({}),
    );
    const claiming = await place('claiming', { url: `${front.url}/v1` });
    try {
      await worker.announced(claiming.versionId, 'ready');
      const secret = 'what the patient said';
      const claims = async (promptTokens: number): Promise<string | null> => {
        front.fault(refusing(200, { data: [{ index: 0, embedding: [1] }], usage: { prompt_tokens: promptTokens } }));
        return (await worker.infer('claiming', texts(secret))).headers.get('x-weir-usage');
      };
      expect(await claims(5)).toBe('inputs=1,input-tokens=5');
      expect(await claims(99_999_999_999_999)).toBe(`inputs=1,input-tokens=${secret.length + 64}`);
      expect(logged.filter((line) => line.includes('can explain'))).toHaveLength(1);
      expect(logged.join('\n')).not.toContain(secret);
      expect(await (await worker.get('/metrics')).text()).toMatch(/weir_model_usage_claims_bounded_total\{[^}]*model="claiming"[^}]*\} 1/);
    } finally {
      await worker.unplace(claiming);
      await front.close();
    }
  });
});

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { generateDeterministicEmbedding, LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import { RunningPlatform } from './harness/running-platform.ts';

const PAGE = readFileSync(new URL('../docs/back-ends.md', import.meta.url), 'utf8');
const OPENAI_KEY = 'sk-of-the-operator';

describe('models that other servers run', () => {
  let platform: RunningPlatform;
  let openai: LLMock;
  const secrets = mkdtempSync(path.join(tmpdir(), 'weir-secrets-'));

  /** Runs the commands of the page that call the platform in one shell, with servers that are there instead of the examples. */
  async function pasted(): Promise<unknown[]> {
    const blocks = [...PAGE.matchAll(/^```sh\n(.*?)^```/gms)].map((match) => match[1] ?? '').filter((block) => block.includes('curl '));
    const script = ['set -e', ...blocks]
      .join('\n')
      .replaceAll('http://triton.example:8000', platform.url)
      .replaceAll('https://vllm.example/v1', `${openai.url}/v1`)
      .replaceAll(/^(publish '\{|curl )/gm, 'echo; $1');
    const { demo } = platform;
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { env: { ...process.env, ...demo, WEIR_URL: platform.url } });
    return stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as unknown);
  }

  beforeAll(async () => {
    openai = new LLMock({ port: 0, auth: { apiKeys: [OPENAI_KEY] } });
    await openai.start();
    writeFileSync(path.join(secrets, 'vllm'), OPENAI_KEY, { mode: 0o600 });
    platform = await RunningPlatform.start({
      environment: { WEIR_WORKER_SECRETS_DIR: secrets, WEIR_WORKER_HEALTH_INTERVAL_MS: '200', WEIR_BACK_ENDS_ALLOW_LOCAL: 'true' },
    });
    // The Open Inference server is this platform itself: it takes the API key of the demonstration.
    writeFileSync(path.join(secrets, 'triton'), platform.demo.WEIR_API_KEY, { mode: 0o600 });
  });
  afterAll(async () => {
    await platform.stop();
    await openai.stop();
    rmSync(secrets, { recursive: true, force: true });
  });

  test('every command of the page works when pasted, in its order: published by an operator, called and paid by a tenant', async () => {
    await eventually(async () => {
      const [reviews, embeddings, review, vectors, models] = await pasted();
      expect(reviews).toEqual({ data: { publishRemoteModelVersion: { version: { version: '1.0.0', backend: 'OPEN_INFERENCE' } } } });
      expect(embeddings).toEqual({ data: { publishRemoteModelVersion: { version: { version: '1.0.0', backend: 'OPENAI' } } } });
      expect(review).toMatchObject({
        model_name: 'reviews',
        outputs: [{ name: 'label', data: ['POSITIVE', 'NEGATIVE'] }, { name: 'score' }],
      });
      const data = [...generateDeterministicEmbedding('a cat'), ...generateDeterministicEmbedding('a dog')].map(Math.fround);
      expect(vectors).toMatchObject({ model_name: 'embeddings', outputs: [{ name: 'embedding', shape: [2, data.length / 2], data }] });
      expect(models).toMatchObject({
        data: { models: { nodes: expect.arrayContaining([{ name: 'reviews', backend: 'OPEN_INFERENCE', placementProblem: null }]) } },
      });
    });
    const answer = await platform.client.infer('reviews', { text: 'what a lovely film' });
    expect(answer).toMatchObject({ output: { labels: [{ label: 'POSITIVE' }, { label: 'NEGATIVE' }] }, cost: { amount: '0.001' } });
    expect(answer.usage).toContainEqual({ meter: 'inputs', quantity: '1' });
  });

  test('a tenant sees what runs a model and not where, and cannot make workers call an address', async () => {
    const administrator = await platform.administrator();
    const seen = await administrator.data('{ model(name: "reviews") { backend versions { nodes { backend server { url } } } } }');
    expect(seen).toEqual({ model: { backend: 'OPEN_INFERENCE', versions: { nodes: [{ backend: 'OPEN_INFERENCE', server: null }] } } });
    const input = {
      name: 'acme/inside',
      version: '1',
      task: 'TENSORS',
      backend: { kind: 'OPEN_INFERENCE', url: platform.url, model: 'x' },
    };
    const refused = await administrator.graph(
      'mutation ($input: PublishRemoteModelVersionInput!) { publishRemoteModelVersion(input: $input) { version { id } } }',
      { input },
    );
    expect(refused.errors?.[0]?.extensions['code']).toBe('access.forbidden');
  });
});

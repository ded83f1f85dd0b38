import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { ERROR_KINDS, ERRORS, isErrorCode, type ErrorCode } from '@weir/kernel';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import { aText, PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform } from './harness/running-platform.ts';

const MODELS = new URL('../models/', import.meta.url).pathname;
const TINY_PICTURE = {
  inputs: [
    {
      name: 'image',
      shape: [1],
      datatype: 'BYTES',
      parameters: { content_type: 'base64' },
      data: [Buffer.from('this is not a picture').toString('base64')],
    },
  ],
};

/** What every tenant may see of a fresh platform. */
const starterModels = (): string[] =>
  readdirSync(MODELS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(path.join(MODELS, entry.name, 'weir.json')))
    .map(({ name }) => name)
    .sort();

/** What a refusal must never hold. */
const LEAKS = /\bat .*\(.*:\d+:\d+\)|node_modules|\/apps\/|\.ts:\d+|\.js:\d+|postgres|ECONN|onnxruntime/i;

describe('bad calls are refused with the code of the table, on every surface', () => {
  let platform: RunningPlatform;
  let client: PlatformClient;
  let administrator: PlatformClient;

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    client = platform.client;
    administrator = await platform.administrator();
  });
  afterAll(() => platform.stop());

  /** A refusal of the Open Inference Protocol: status of the kind, code in the header, only a message in the body. */
  async function refusedByProtocol(answer: Response, code: ErrorCode): Promise<void> {
    const text = await answer.text();
    expect({ status: answer.status, code: answer.headers.get('x-weir-error-code') }).toEqual({
      status: ERROR_KINDS[ERRORS[code].kind].httpStatus,
      code,
    });
    expect(JSON.parse(text)).toEqual({ error: expect.stringMatching(/./) });
    expect(text).not.toMatch(LEAKS);
  }

  async function refusedByGraph(as: PlatformClient, model: string, input: Record<string, unknown>, code: ErrorCode): Promise<void> {
    const answer = await as.graph('mutation ($input: InferInput!) { infer(input: $input) { id } }', { input: { model, input } });
    expect(answer.errors?.[0]?.extensions).toMatchObject({ code, kind: ERRORS[code].kind, requestId: answer.headers.get('x-request-id') });
    expect(isErrorCode(answer.errors?.[0]?.extensions['code'])).toBe(true);
    expect(answer.text).not.toMatch(LEAKS);
  }

  test('an unknown model', async () => {
    await refusedByProtocol(await client.openInfer('nothing', aText('x')), 'model.not_found');
    await refusedByProtocol(await client.fetch('/v2/nowhere'), 'request.not_found');
    await refusedByGraph(client, 'nothing', { text: 'x' }, 'model.not_found');
  });

  test('a wrong input shape, datatype or name, with the field that is wrong', async () => {
    const wrong = {
      inputs: [{ name: 'pixel_values', shape: [1, 1, 28, 27], datatype: 'FP32', data: Array.from({ length: 28 * 27 }, () => 0) }],
    };
    const answer = await client.openInfer('digits', wrong);
    const body = await answer.clone().text();
    await refusedByProtocol(answer, 'model.input_invalid');
    expect(body).toContain('28');
    await refusedByProtocol(
      await client.openInfer('digits', { inputs: [{ name: 'pixel_values', shape: [1, 1, 28, 28], datatype: 'FP32', data: [1, 2, 3] }] }),
      'model.input_invalid',
    );
    await refusedByProtocol(await client.openInfer('digits', '{"inputs": ['), 'request.malformed');
    await refusedByGraph(
      client,
      'digits',
      { tensors: [{ name: 'pixel_values', datatype: 'FP32', shape: [1, 1, 2], data: [0, 0] }] },
      'model.input_invalid',
    );
    await refusedByGraph(client, 'digits', { text: 'a sentence for a picture model' }, 'model.input_invalid');
    await refusedByGraph(client, 'sentiment', { texts: [] }, 'request.invalid');
  });

  test('a PNG that is not one', async () => {
    await refusedByProtocol(await client.openInfer('digits', TINY_PICTURE), 'model.image_invalid');
    await refusedByGraph(
      client,
      'digits',
      { image: { base64: Buffer.from('\x89PNG\r\n\x1a\n and then nothing').toString('base64') } },
      'model.image_invalid',
    );
  });

  test('a body of 50 MB', async () => {
    const body = JSON.stringify(aText('a'.repeat(50_000_000)));
    // The server may close the connection before it has read all of it.
    const answer = await client.openInfer('sentiment', body).catch((error: unknown) => error);
    if (answer instanceof Response) await refusedByProtocol(answer, 'request.too_large');
    else expect(String(answer)).toMatch(/fetch failed/);
    const graph = await client
      .fetch('/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ __typename }', padding: 'a'.repeat(50_000_000) }),
      })
      .catch((error: unknown) => error);
    if (graph instanceof Response) expect(graph.status).toBe(413);
    else expect(String(graph)).toMatch(/fetch failed/);
    expect((await client.openInfer('sentiment', aText('still here'))).status).toBe(200);
  });

  test('no credential, a mistyped one, and one of nobody', async () => {
    const nobody = new PlatformClient(platform.url);
    await refusedByProtocol(await nobody.openInfer('sentiment', aText('x')), 'auth.required');
    await refusedByGraph(nobody, 'sentiment', { text: 'x' }, 'auth.required');
    const mistyped = new PlatformClient(platform.url, `${platform.demo.WEIR_API_KEY.slice(0, -1)}!`);
    await refusedByProtocol(await mistyped.openInfer('sentiment', aText('x')), 'auth.invalid');
    expect((await mistyped.graph('{ models { nodes { name } } }')).text).toContain('auth.invalid');
  });

  test('a revoked key, within five seconds, everywhere', async () => {
    const { createApiKey } = await administrator.data<{ createApiKey: { secret: string; apiKey: { id: string } } }>(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }',
      { input: { name: 'short-lived' } },
    );
    const shortLived = new PlatformClient(platform.url, createApiKey.secret);
    await eventually(async () => expect((await shortLived.openInfer('sentiment', aText('x'))).status).toBe(200), 5_000);
    await administrator.data('mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id } } }', {
      input: { id: createApiKey.apiKey.id },
    });
    await eventually(async () => expect((await shortLived.openInfer('sentiment', aText('x'))).status).toBe(401), 5_000);
    await refusedByProtocol(await shortLived.openInfer('sentiment', aText('x')), 'auth.invalid');
    expect((await shortLived.graph('{ models { nodes { name } } }')).text).toContain('auth.invalid');
  });

  test("another tenant's model does not exist, in any list or call", async () => {
    const rival = await aTenantWithModel('rival', 'rival/secret');
    await eventually(async () =>
      expect((await rival.graph<{ model: unknown }>('{ model(name: "rival/secret") { name } }')).data?.model).toEqual({
        name: 'rival/secret',
      }),
    );
    await refusedByProtocol(await client.openInfer('rival/secret', aText('x')), 'model.not_found');
    await refusedByGraph(client, 'rival/secret', { text: 'x' }, 'model.not_found');
    const { models } = await client.data<{ models: { nodes: { name: string }[] } }>('{ models(first: 100) { nodes { name } } }');
    expect(models.nodes.map(({ name }) => name).sort()).toEqual(starterModels());
    expect((await client.graph('{ model(name: "rival/secret") { name } }')).text).not.toContain('"name":"rival/secret"');
  });

  test("the operator's fields are not for tenants, and internal ports are for services alone", async () => {
    expect((await administrator.graph('{ tenants { nodes { id } } }')).errors?.[0]?.extensions['code']).toBe('access.forbidden');
    for (const service of ['auth', 'registry', 'metering', 'billing', 'worker'] as const) {
      const answer = await fetch(`${platform.internalUrlOf(service)}/${service === 'worker' ? 'v2' : 'graphql'}`, {
        headers: { authorization: `Bearer ${platform.demo.WEIR_API_KEY}`, 'x-weir-internal-token': 'forged' },
      });
      expect(answer.status).toBe(401);
      expect(await answer.text()).toContain('other Weir services');
    }
    expect((await client.fetch('/metrics')).status).toBe(404);
  });

  /** A tenant of its own with a private model. */
  async function aTenantWithModel(slug: string, model: string): Promise<PlatformClient> {
    const operator = await platform.operator();
    const owner = { email: `owner@${slug}.example`, name: 'Owner', password: `a long password of ${slug}` };
    const { createTenant } = await operator.data<{ createTenant: { tenant: { id: string } } }>(
      'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } } }',
      {
        input: { slug, displayName: slug, owner },
      },
    );
    const session = await eventually(() => PlatformClient.signIn(platform.url, owner.email, owner.password));
    const folder = path.join(MODELS, 'sentiment');
    const files = await Promise.all(
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => statSync(path.join(folder, file)).isFile() && /\.(json|onnx)$/.test(file) && file !== 'example.json')
        .map(async (file) => {
          const content = readFileSync(path.join(folder, file));
          const sha256 = createHash('sha256').update(content).digest('hex');
          await platform.upload(createTenant.tenant.id, sha256, content);
          return { path: file, sha256, sizeBytes: content.length };
        }),
    );
    await eventually(() =>
      session.data('mutation ($input: PublishModelVersionInput!) { publishModelVersion(input: $input) { __typename } }', {
        input: { name: model, version: '1.0.0', visibility: 'PRIVATE', alias: 'production', files },
      }),
    );
    return session;
  }
});

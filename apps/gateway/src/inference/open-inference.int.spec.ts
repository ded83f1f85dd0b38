import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { tenantChanged } from '@weir/contracts';
import { HEADER_LENGTH_HEADER } from '@weir/open-inference';
import { AppError } from '@weir/kernel';
import { eventually } from '@weir/testing';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { request as send } from 'undici';
import { BODY_LIMIT_BYTES, OpenInferenceWorld } from './open-inference-world.fixture.ts';

let world: OpenInferenceWorld;
let key: string;
let operatorToken: string;

beforeAll(async () => {
  world = await OpenInferenceWorld.start();
  key = await world.aKey('acme');
  operatorToken = await world.anOperator();
});
afterAll(() => world.close());
afterEach(async () => {
  world.worker.answers = () => undefined;
  await world.announceWorker({});
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
  readonly json: unknown;
}

/** Sends a request that nothing adds headers to, and gives the answer's bytes as they came. */
async function ask(
  path: string,
  options: { method?: 'GET' | 'POST'; body?: Buffer | object; headers?: Record<string, string>; as?: string | null } = {},
): Promise<Answer> {
  const { as = key, body } = options;
  const answer = await send(`${world.gateway.url}${path}`, {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(as === null ? {} : { authorization: `Bearer ${as}` }), ...options.headers },
    body: body === undefined ? null : Buffer.isBuffer(body) ? body : JSON.stringify(body),
  });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: bytes,
    get json() {
      return JSON.parse(bytes.toString('utf8')) as unknown;
    },
  };
}

const INFER = '/v2/models/digits/infer';
const inJson = { id: 'call-7', inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [0.5, -1] }] };
const NAN_ROW = Buffer.from(Float32Array.of(Number.NaN, 1).buffer);

/** A body of JSON and bytes, and the header that tells them apart. */
function inBytes(parameters: object = { binary_data_output: true }): { body: Buffer; headers: Record<string, string> } {
  const json = Buffer.from(
    JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', parameters: { binary_data_size: 8 } }], parameters }),
  );
  return { body: Buffer.concat([json, NAN_ROW]), headers: { 'Inference-Header-Content-Length': String(json.length) } };
}

const error = { error: expect.stringMatching(/./) };

describe('an inference over HTTP', () => {
  test('in JSON is answered in JSON, with its id, under the public name of the model', async () => {
    const answer = await ask(INFER, { body: inJson, headers: { 'content-type': 'application/json' } });
    expect(answer).toMatchObject({
      status: 200,
      json: { id: 'call-7', model_name: 'digits', outputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [0.5, -1] }] },
    });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'x-weir-receipt-id': expect.any(String) });
    expect(world.worker.last.path).toBe('/v2/models/model-1/versions/1/infer');
  });

  test.each([['application/octet-stream'], ['application/json'], [undefined]])(
    'in bytes, called %j, is answered in bytes where it asks for them',
    async (contentType) => {
      const { body, headers } = inBytes();
      const answer = await ask(INFER, {
        body,
        headers: { ...headers, ...(contentType === undefined ? {} : { 'content-type': contentType }) },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('application/octet-stream');
      const length = Number(answer.headers[HEADER_LENGTH_HEADER]);
      expect(JSON.parse(answer.body.subarray(0, length).toString())).toMatchObject({ outputs: [{ parameters: { binary_data_size: 8 } }] });
      expect(answer.body.subarray(length)).toEqual(NAN_ROW);
      expect(world.worker.last.body).toEqual(body);
    },
  );

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ])('may be packed with %s', async (encoding, pack) => {
    const { body, headers } = inBytes();
    const answer = await ask(INFER, { body: pack(body), headers: { ...headers, 'content-encoding': encoding } });
    expect(answer.status).toBe(200);
    expect(world.worker.last.body).toEqual(body);
    const json = await ask(INFER, { body: pack(Buffer.from(JSON.stringify(inJson))), headers: { 'content-encoding': encoding } });
    expect(json).toMatchObject({ status: 200, json: { id: 'call-7' } });
  });

  test('with an idempotency key is run and billed once; the same answer comes again, and another call is a conflict', async () => {
    const { body, headers } = inBytes();
    const first = await ask(INFER, { body, headers: { ...headers, 'idempotency-key': 'order-7' } });
    const asked = world.worker.calls.length;
    const again = await ask(INFER, { body, headers: { ...headers, 'idempotency-key': 'order-7' } });
    expect(world.worker.calls).toHaveLength(asked);
    expect([again.status, again.body, again.headers['content-type'], again.headers[HEADER_LENGTH_HEADER]]).toEqual([
      200,
      first.body,
      'application/octet-stream',
      first.headers[HEADER_LENGTH_HEADER],
    ]);
    expect(again.headers['x-weir-receipt-id']).toBe(first.headers['x-weir-receipt-id']);
    expect([first.headers['x-weir-repeated'], again.headers['x-weir-repeated']]).toEqual([undefined, 'true']);
    const other = await ask(INFER, { body: inJson, headers: { 'idempotency-key': 'order-7' } });
    expect([other.status, other.headers['x-weir-error-code'], other.headers['x-weir-error-field']]).toEqual([
      409,
      'idempotency.key_reused',
      'idempotency-key',
    ]);
    expect((await ask(INFER, { body: inJson, headers: { 'idempotency-key': 'k'.repeat(256) } })).status).toBe(400);
    const stranger = await world.aKey('globex');
    const theirs = await ask(INFER, { body, headers: { ...headers, 'idempotency-key': 'order-7' }, as: stranger });
    expect(theirs.headers['x-weir-repeated']).toBeUndefined();
    expect(theirs.headers['x-weir-receipt-id']).not.toBe(first.headers['x-weir-receipt-id']);
  });

  test("with a key of 1,000,000 a minute is held to its tenant's limit as the operator sets it; another tenant is unaffected", async () => {
    const unlimited = await world.aKey('initech', ['infer'], 1_000_000);
    const limits = { requestsPerMinute: 3, maxInFlight: null };
    await world.announce(tenantChanged, { id: 'initech', slug: 'initech', displayName: 'Initech', status: 'active', limits });
    await eventually(
      async () => (await ask(INFER, { body: inJson, as: unlimited })).headers['ratelimit-policy'] === '"tenant-requests";q=3;w=60',
    );
    const statuses: (number | undefined)[] = [];
    for (let time = 0; time < 4; time++) statuses.push((await ask(INFER, { body: inJson, as: unlimited })).status);
    expect(statuses).toContain(429);
    const refused = await ask(INFER, { body: inJson, as: unlimited });
    expect(refused).toMatchObject({ status: 429, json: { error: expect.stringContaining("tenant's requests") as unknown } });
    expect(refused.headers['x-weir-error-code']).toBe('limit.requests');
    expect((await ask(INFER, { body: inJson })).status).toBe(200);
  });

  test('has a large answer packed for a caller who accepts that', async () => {
    const data = Array.from({ length: 5_000 }, (_, index) => index);
    const body = { inputs: [{ name: 'x', shape: [5_000], datatype: 'INT32', data }] };
    for (const [encoding, unpack] of [
      ['gzip', gunzipSync],
      ['deflate', inflateSync],
    ] as const) {
      const answer = await ask(INFER, { body, headers: { 'accept-encoding': encoding } });
      expect(answer.headers['content-encoding']).toBe(encoding);
      expect(JSON.parse(unpack(answer.body).toString())).toMatchObject({ outputs: [{ data }] });
    }
    expect((await ask(INFER, { body })).headers['content-encoding']).toBeUndefined();
  });

  test('passes its priority, its deadline and its sequence on', async () => {
    await ask(INFER, {
      body: { ...inJson, parameters: { sequence_id: 9, sequence_start: true } },
      headers: { 'x-weir-timeout-ms': '700', 'x-weir-priority': 'batch' },
    });
    expect(world.worker.last.headers['x-weir-priority']).toBe('batch');
    expect(Number(world.worker.last.headers['x-weir-timeout-ms'])).toBeLessThanOrEqual(700);
  });

  test('that takes longer than its deadline is answered with 504', async () => {
    world.worker.answers = () => new Promise(() => undefined);
    const answer = await ask(INFER, { body: inJson, headers: { 'x-weir-timeout-ms': '100' } });
    expect(answer).toMatchObject({ status: 504, json: error });
  });

  test('of a model whose name has two parts takes the name as it is, and escaped', async () => {
    await world.deploy({ modelId: 'model-2', model: 'acme/own', versionId: 'version-1', ownerTenantId: 'acme', visibility: 'private' });
    await eventually(async () => expect((await ask('/v2/models/acme/own/infer', { body: inJson })).status).toBe(200));
    expect((await ask('/v2/models/acme%2Fown/versions/1/infer', { body: inJson })).status).toBe(200);
    expect((await ask('/v2/models/acme/own/versions/1/ready')).json).toEqual({ name: 'acme/own', ready: true });
  });
});

describe('a bad request over HTTP is refused with 400 and a sentence, never with 500', () => {
  const { body, headers } = inBytes();

  test.each<[string, Buffer | object | undefined, Record<string, string>, number, string]>([
    ['no body', undefined, {}, 400, 'request.malformed'],
    ['no JSON', Buffer.from('hello'), {}, 400, 'request.malformed'],
    ['a length that is no number', body, { 'Inference-Header-Content-Length': 'x' }, 400, 'model.input_invalid'],
    ['a length beyond the body', body, { 'Inference-Header-Content-Length': '99999' }, 400, 'model.input_invalid'],
    ['a length that ends inside the JSON', body, { 'Inference-Header-Content-Length': '9' }, 400, 'request.malformed'],
    ['bytes that are missing', body.subarray(0, -1), headers, 400, 'model.input_invalid'],
    ['bytes too many', Buffer.concat([body, NAN_ROW]), headers, 400, 'model.input_invalid'],
    ['a shape that lies', { inputs: [{ name: 'x', shape: [3], datatype: 'FP32', data: [1] }] }, {}, 400, 'model.input_invalid'],
    ['a body that is not packed', body, { ...headers, 'content-encoding': 'gzip' }, 400, 'request.malformed'],
    ['a packing that is not offered', body, { ...headers, 'content-encoding': 'br' }, 415, 'request.unsupported_media_type'],
    ['a bomb', gzipSync(Buffer.alloc(BODY_LIMIT_BYTES + 1)), { 'content-encoding': 'gzip' }, 413, 'request.too_large'],
    ['a body that is too large', Buffer.alloc(BODY_LIMIT_BYTES + 1), {}, 413, 'request.too_large'],
    ['a priority that there is not', inJson, { 'x-weir-priority': 'urgent' }, 400, 'request.invalid'],
    ['a deadline that is none', inJson, { 'x-weir-timeout-ms': 'soon' }, 400, 'request.invalid'],
  ])('%s', async (_, content, more, status, code) => {
    const answer = await ask(INFER, { method: 'POST', ...(content === undefined ? {} : { body: content }), headers: more });
    expect({ status: answer.status, code: answer.headers['x-weir-error-code'], body: answer.json }).toEqual({ status, code, body: error });
  });

  test('with the field that is wrong', async () => {
    const answer = await ask(INFER, { body: { inputs: [{ name: 'x', shape: [-1], datatype: 'FP32', data: [] }] } });
    expect(answer.headers['x-weir-error-field']).toBe(encodeURIComponent('inputs[0].shape[0]'));
  });
});

test("whatever stands in a body, and whatever its headers say of it, is answered or refused as the caller's", async () => {
  const { body, headers } = inBytes();
  const changes = fc.array(fc.tuple(fc.nat({ max: body.length - 1 }), fc.integer({ min: 0, max: 255 })), { maxLength: 4 });
  const lengths = fc.oneof(
    fc.constant(headers['Inference-Header-Content-Length']),
    fc.integer({ min: -10, max: 300 }).map(String),
    fc.constantFrom('', 'x', '1e3', '0x10', '99999999999999999999', undefined),
  );
  const encodings = fc.constantFrom(undefined, undefined, undefined, 'gzip', 'deflate', 'identity');
  await fc.assert(
    fc.asyncProperty(changes, fc.nat({ max: 20 }), lengths, encodings, async (changed, lost, length, encoding) => {
      const sent = Buffer.from(body.subarray(0, body.length - lost));
      for (const [position, value] of changed) if (position < sent.length) sent[position] = value;
      const answer = await ask(INFER, {
        body: sent,
        headers: {
          ...(length === undefined ? {} : { 'Inference-Header-Content-Length': length }),
          ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
        },
      });
      expect([200, 400, 413, 415]).toContain(answer.status);
      if (answer.status !== 200) expect(answer.json).toEqual(error);
    }),
    // What asked for bytes asks for nothing, and the numbers are none that JSON has.
    { numRuns: 150, examples: [[[[94, 32]], 0, '134', undefined]] },
  );
});

describe('the server tells about itself', () => {
  test('that it lives and is ready, and what it offers, without a key', async () => {
    expect(await ask('/v2/health/live', { as: null })).toMatchObject({ status: 200, json: { live: true } });
    expect(await ask('/v2/health/ready', { as: null })).toMatchObject({ status: 200, json: { ready: true } });
    expect((await ask('/v2', { as: null })).json).toMatchObject({
      name: 'weir',
      extensions: expect.arrayContaining(['binary_tensor_data', 'model_repository', 'statistics', 'sequence']),
    });
  });

  test('and about a model what the worker says, under its public name', async () => {
    const tensor = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
    world.worker.answers = () => ({
      name: 'model-1',
      platform: 'onnxruntime_onnx',
      inputs: [tensor],
      outputs: [tensor],
      parameters: { task: 'tensors' },
    });
    expect((await ask('/v2/models/digits')).json).toEqual({
      name: 'digits',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [tensor],
      outputs: [tensor],
      parameters: { task: 'tensors' },
    });
    expect(world.worker.last.path).toBe('/v2/models/model-1/versions/1');
    expect((await ask('/v2/models/digits/versions/2')).status).toBe(404);
    expect((await ask('/v2/models/digits', { as: null })).status).toBe(401);
  });
});

describe('the model repository', () => {
  test('lists what the tenant may use, with its state and why it is unavailable', async () => {
    await world.deploy({
      modelId: 'model-3',
      model: 'rival/secret',
      ownerTenantId: 'rival',
      visibility: 'private',
      versionId: 'version-3',
    });
    await world.deploy({ modelId: 'model-4', model: 'broken', versionId: 'version-4' });
    await world.deploy({ modelId: 'model-5', model: 'coming', versionId: 'version-5' });
    await world.announceWorker({
      versions: [
        { versionId: 'version-1', state: 'ready', url: world.worker.url },
        { versionId: 'version-4', state: 'failed', error: 'the file is damaged' },
        { versionId: 'version-5', state: 'loading' },
      ],
    });
    await eventually(async () => {
      const { json } = await ask('/v2/repository/index', { method: 'POST' });
      expect(json).toEqual(
        expect.arrayContaining([
          { name: 'broken', version: '1', state: 'UNAVAILABLE', reason: 'the file is damaged' },
          { name: 'coming', version: '1', state: 'LOADING', reason: '' },
          { name: 'digits', version: '1', state: 'READY', reason: '' },
        ]),
      );
      expect(JSON.stringify(json)).not.toContain('secret');
      return true;
    });
    const ready = (await ask('/v2/repository/index', { body: { ready: true } })).json as { state: string }[];
    expect(new Set(ready.map(({ state }) => state))).toEqual(new Set(['READY']));
    expect(JSON.stringify((await ask('/v2/repository/index', { method: 'POST', as: operatorToken })).json)).toContain('rival/secret');
    expect(await ask('/v2/repository/index', { body: { ready: 'yes' } })).toMatchObject({ status: 400, json: error });
  });

  test('loads and unloads for operators, on every worker that holds the version; for nobody else', async () => {
    world.worker.answers = ({ path }) => (path.startsWith('/v2/repository') ? {} : undefined);
    for (const what of ['load', 'unload']) {
      expect(await ask(`/v2/repository/models/digits/${what}`, { method: 'POST', as: operatorToken })).toMatchObject({ status: 200 });
      expect(world.worker.last).toMatchObject({ method: 'POST', path: `/v2/repository/models/model-1/${what}` });
      expect(JSON.parse(world.worker.last.body.toString())).toEqual({ parameters: { version: '1' } });
      expect(world.worker.last.principal.scopes.has('operator')).toBe(true);
      const asked = world.worker.calls.length;
      expect(await ask(`/v2/repository/models/digits/${what}`, { method: 'POST' })).toMatchObject({ status: 403, json: error });
      expect(await ask(`/v2/repository/models/nothing/${what}`, { method: 'POST', as: operatorToken })).toMatchObject({ status: 404 });
      expect(world.worker.calls).toHaveLength(asked);
    }
    const changed = await ask('/v2/repository/models/digits/load', { as: operatorToken, body: { parameters: { config: '{}' } } });
    expect(changed).toMatchObject({ status: 400, json: error, headers: { 'x-weir-error-field': 'parameters.config' } });
  });

  test("a worker's refusal to load is told in its words", async () => {
    world.worker.answers = () => {
      throw new AppError('model.package_invalid', { message: 'onnx/model.onnx is not a model.' });
    };
    expect(await ask('/v2/repository/models/digits/load', { method: 'POST', as: operatorToken })).toMatchObject({
      status: 400,
      json: { error: 'onnx/model.onnx is not a model.' },
    });
  });
});

test("another tenant's private model does not exist, whatever is asked of it", async () => {
  await world.deploy({ modelId: 'model-6', model: 'rival/own', versionId: 'version-1', ownerTenantId: 'rival', visibility: 'private' });
  const rival = await world.aKey('rival');
  await eventually(async () => (await ask('/v2/models/rival/own/ready', { as: rival })).status === 200);
  for (const path of ['', '/ready', '/versions/1', '/versions/1/ready'])
    expect((await ask(`/v2/models/rival/own${path}`)).headers['x-weir-error-code'], path).toBe('model.not_found');
  expect((await ask('/v2/models/rival/own/infer', { body: inJson })).headers['x-weir-error-code']).toBe('model.not_found');
  expect(JSON.stringify((await ask('/v2/repository/index', { method: 'POST' })).json)).not.toContain('rival/own');
  expect(JSON.stringify((await ask('/v2/repository/index', { method: 'POST', as: rival })).json)).toContain('rival/own');
});

describe('statistics', () => {
  const counted = (count: number): object => ({
    name: 'model-1',
    version: '1',
    last_inference: count,
    inference_count: count,
    execution_count: 1,
    inference_stats: { success: { count, ns: 1_000 } },
    batch_stats: [{ batch_size: count, compute_infer: { count: 1, ns: 10 } }],
  });

  test('are for operators, of one model and of all', async () => {
    world.worker.answers = () => ({ model_stats: [counted(3)] });
    for (const path of ['/v2/models/digits/stats', '/v2/models/digits/versions/1/stats']) {
      expect((await ask(path, { as: operatorToken })).json).toMatchObject({
        model_stats: [
          {
            name: 'digits',
            version: '1',
            inference_count: 3,
            inference_stats: { success: { count: 3, ns: 1_000 }, queue: { count: 0, ns: 0 } },
            batch_stats: [{ batch_size: 3, compute_infer: { count: 1, ns: 10 } }],
          },
        ],
      });
      expect(await ask(path)).toMatchObject({ status: 403, json: error });
    }
    expect((await ask('/v2/models/stats', { as: operatorToken })).json).toMatchObject({
      model_stats: expect.arrayContaining([expect.objectContaining({ name: 'digits' })]),
    });
    expect(await ask('/v2/models/stats')).toMatchObject({ status: 403 });
  });

  test('are summed over the workers that hold the version', async () => {
    world.worker.answers = () => ({ model_stats: [counted(2)] });
    const { url } = world.worker;
    await world.announceWorker({ id: 'worker-2', url, versions: [{ versionId: 'version-1', state: 'ready' }] });
    await world.announceWorker({});
    await eventually(async () => {
      expect((await ask('/v2/models/digits/stats', { as: operatorToken })).json).toMatchObject({
        model_stats: [
          { inference_count: 4, inference_stats: { success: { count: 4, ns: 2_000 } }, batch_stats: [{ compute_infer: { count: 2 } }] },
        ],
      });
      return true;
    });
  });
});

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { INTERNAL_TOKEN_HEADER } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { encodeRequest, readResponse } from '@weir/open-inference';
import { anOperator, eventually } from '@weir/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { starterFile, starterPackage, startTestWorker, type TestWorker } from '../worker.fixture.ts';
import { gone, refusing, silent, standInFrontOf, type OtherServer } from './other-server.fixture.ts';

// The other server is a worker of Weir: it speaks the protocol, and runs a real model.

const SECRET = 'sk-of-the-operator';

let other: TestWorker;
let server: OtherServer;
let worker: TestWorker;
let digits: PlacementState;
let secrets: string;
/** Where the worker takes calls of versions that other servers run. */
let edge: string;
const logged: string[] = [];

const backend = (over: Record<string, unknown> = {}) =>
  ({ kind: 'open-inference', url: server.url, model: 'their-digits', secret: 'theirs', ...over }) as NonNullable<PlacementState['backend']>;
const place = (model: string, task: PlacementState['task'], over: Record<string, unknown> = {}) =>
  worker.place(model, task, new Map(), { backend: backend(over) });

beforeAll(async () => {
  secrets = await mkdtemp(join(tmpdir(), 'weir-secrets-'));
  await writeFile(join(secrets, 'theirs'), `${SECRET}\n`, { mode: 0o600 });
  other = await startTestWorker();
  const theirs = await other.place('their-digits', 'image-classification', await starterPackage('digits'));
  await other.announced(theirs.versionId, 'ready');
  server = await standInFrontOf(
    () => other.urlOf(theirs) ?? '',
    async () => ({ [INTERNAL_TOKEN_HEADER]: await other.token() }),
  );
  worker = await startTestWorker(
    {
      WEIR_WORKER_SECRETS_DIR: secrets,
      WEIR_BACK_ENDS_ALLOW_LOCAL: 'true',
      // What a call finds out is not left to the next regular look.
      WEIR_WORKER_HEALTH_INTERVAL_MS: '600000',
      WEIR_WORKER_REMOTE_CONCURRENCY: '2',
      WEIR_WORKER_QUEUE_LENGTH: '1',
    },
    (line) => logged.push(line),
  );
  digits = await place('digits', 'image-classification');
  edge = (await worker.announced(digits.versionId, 'ready')).url ?? '';
});

afterAll(async () => {
  await worker.close();
  await server.close();
  await other.close();
  await rm(secrets, { recursive: true, force: true });
});

afterEach(async () => {
  server.fault(null);
  await worker.announced(digits.versionId, 'ready');
});

const picture = async () => ({
  inputs: [
    {
      name: 'image',
      shape: [1],
      datatype: 'BYTES',
      parameters: { content_type: 'base64' },
      data: [(await starterFile('digits', 'examples/seven.png')).toString('base64')],
    },
  ],
});
const pixels = (rows = 1) => ({
  inputs: [
    {
      name: 'pixel_values',
      shape: [rows, 1, 28, 28],
      datatype: 'FP32' as const,
      data: Array.from({ length: 784 * rows }, (_, i) => (i % 7) / 7),
    },
  ],
});
const calls = () => server.seen.filter(({ method }) => method === 'POST');
/** Sends bytes as they are, and reads the answer. */
const send = async (message: { headers: Record<string, string>; body: Buffer }, path = 'digits') => {
  const response = await fetch(`${edge}/v2/models/${path}/infer`, {
    method: 'POST',
    headers: { ...message.headers, [INTERNAL_TOKEN_HEADER]: await worker.token() },
    body: new Uint8Array(message.body),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: response.status, headers: Object.fromEntries(response.headers), body: Buffer.from(await response.arrayBuffer()) };
};

describe('a model that a server of the Open Inference Protocol runs', () => {
  it('answers like one of Weir’s own: under its public name, with its version, the id of the call and what was counted', async () => {
    const [answer, theirs] = [
      await worker.infer('digits', { id: 'call-1', ...(await picture()) }, { 'x-weir-model-name': 'acme/digits' }),
      await other.infer('their-digits', await picture()),
    ];
    expect(answer).toMatchObject({
      status: 200,
      body: {
        id: 'call-1',
        model_name: 'acme/digits',
        model_version: digits.version,
        parameters: { usage: { inputs: 1, 'input-tokens': 0 } },
        outputs: theirs.body.outputs,
      },
    });
    expect(answer.body.outputs?.[0]?.data[0]).toBe('7');
    expect(answer.headers.get('x-weir-usage')).toBe('inputs=1,input-tokens=0');
    expect(JSON.stringify(answer.body)).not.toContain('their-digits');
  });

  it('counts the rows of raw tensors', async () => {
    const answer = await worker.infer(`digits/versions/${digits.version}`, pixels(3));
    expect(answer.headers.get('x-weir-usage')).toBe('inputs=3,input-tokens=0');
    expect(answer.body.outputs?.[0]?.shape).toEqual([3, 10]);
  });

  it('is sent bodies as they came, JSON and bytes alike, and its bytes come back as it sent them', async () => {
    const floats = Float32Array.from(pixels(2).inputs[0]?.data ?? []);
    const message = encodeRequest({
      id: 'binary',
      parameters: { binary_data_output: true },
      inputs: [{ name: 'pixel_values', shape: [2, 1, 28, 28], datatype: 'FP32', data: new Uint8Array(floats.buffer) }],
    });
    const answer = await send({ headers: { ...message.headers }, body: message.body });
    expect(calls().at(-1)?.body.equals(message.body)).toBe(true);
    const ours = readResponse(answer.body, answer.headers);
    expect(ours).toMatchObject({ id: 'binary', model_name: 'digits', model_version: digits.version });
    const json = await worker.infer('digits', pixels(2));
    const data = ours.outputs[0]?.data;
    expect(data).toBeInstanceOf(Uint8Array);
    expect(Array.from(new Float32Array(Uint8Array.from(data as Uint8Array).buffer))).toEqual(
      json.body.outputs?.[0]?.data.map(Number).map(Math.fround),
    );
  });

  it('is sent bytes as JSON where its server does not take bytes, and says so in its extensions', async () => {
    server.fault(({ path }, response) => {
      if (path !== '/v2') return false;
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"name": "mlserver", "version": "1", "extensions": []}');
      return true;
    });
    const plain = await place('plain', 'tensors');
    await worker.announced(plain.versionId, 'ready');
    const { data: numbers = [], ...input } = pixels().inputs[0] ?? {};
    const data = new Uint8Array(Float32Array.from(numbers).buffer);
    const message = encodeRequest({ inputs: [{ ...input, name: 'pixel_values', shape: [1, 1, 28, 28], datatype: 'FP32', data }] });
    const answer = await send({ headers: { ...message.headers }, body: message.body }, 'plain');
    expect(answer.status).toBe(200);
    expect(calls().at(-1)?.headers['inference-header-content-length']).toBeUndefined();
    expect(JSON.parse(answer.body.toString())).toMatchObject({ outputs: (await worker.infer('digits', pixels())).body.outputs });
    await worker.unplace(plain);
  });

  it('is unpacked before it is sent', async () => {
    const body = gzipSync(JSON.stringify(pixels()));
    const answer = await send({ headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body });
    expect(answer.status).toBe(200);
    expect(calls().at(-1)?.headers['content-encoding']).toBeUndefined();
  });

  it('describes itself by the tensors of its server, and its task', async () => {
    const described = await (await worker.get('/v2/models/digits')).json();
    expect(described).toMatchObject({
      name: 'digits',
      versions: [digits.version],
      inputs: [{ name: 'pixel_values', datatype: 'FP32', shape: [-1, 1, 28, 28] }],
      outputs: [{ name: 'logits' }],
      parameters: { task: 'image-classification', processed: { inputs: [{ name: 'image' }] } },
    });
    expect(await (await worker.get('/v2/models/digits/ready')).json()).toEqual({ name: 'digits', ready: true });
  });

  it('is in the index and the statistics, and is loaded and unloaded elsewhere', async () => {
    const ask = async (method: string, path: string, body?: string) =>
      fetch(`${edge}${path}`, {
        method,
        headers: {
          [INTERNAL_TOKEN_HEADER]: await worker.token(anOperator()),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
      });
    expect(await (await ask('POST', '/v2/repository/index', '{}')).json()).toContainEqual({
      name: 'digits',
      version: digits.version,
      state: 'READY',
      reason: '',
    });
    const { model_stats: statistics } = (await (await ask('GET', '/v2/models/digits/stats')).json()) as {
      model_stats: { inference_count: number }[];
    };
    expect(statistics[0]?.inference_count).toBeGreaterThan(0);
    const refused = await ask('POST', '/v2/repository/models/digits/unload', '{}');
    expect([refused.status, await refused.json()]).toEqual([400, { error: 'Another server runs this model: load and unload it there.' }]);
  });

  it('has the metrics of every model, and none that says where it runs', async () => {
    const metrics = await (await worker.get('/metrics')).text();
    for (const name of [
      'weir_model_queue_seconds_count',
      'weir_model_run_seconds_count',
      'weir_model_batch_rows_count',
      'weir_model_queue_length',
    ])
      expect(metrics).toMatch(new RegExp(`^${name}\\{[^}]*model="digits"[^}]*\\} \\d`, 'm'));
    expect(metrics).not.toContain('their-digits');
    expect(metrics).not.toContain(new URL(server.url).port);
  });
});

describe('what is sent to another server', () => {
  it('holds the operator’s secret, and nothing that is for Weir’s services alone', async () => {
    await worker.infer('digits', pixels());
    for (const { headers } of server.seen) {
      expect(headers.authorization).toBe(`Bearer ${SECRET}`);
      expect(Object.keys(headers).filter((name) => name.startsWith('x-weir'))).toEqual([]);
    }
  });

  it.each([
    ['without an internal token', {}, pixels(), 401],
    ['that is no JSON', null, '{"inputs": [', 400],
    ['that is of no type that the protocol has', { 'content-type': 'text/csv' }, 'a=b', 415],
    ['that is packed in a way that is not known', { 'content-encoding': 'br' }, pixels(), 415],
    ['whose JSON is said to be longer than it is', { 'inference-header-content-length': '999999' }, pixels(), 400],
    ['with a deadline that is none', { 'x-weir-timeout-ms': 'soon' }, pixels(), 400],
    ['with a priority that is none', { 'x-weir-priority': 'vip' }, pixels(), 400],
    [
      'that names shared memory',
      null,
      { inputs: [{ ...pixels().inputs[0], data: undefined, parameters: { shared_memory_region: 'r' } }] },
      400,
    ],
  ])('is no call %s', async (_, headers, body, status) => {
    const before = calls().length;
    const token: Record<string, string> =
      headers !== null && Object.keys(headers).length === 0 ? {} : { [INTERNAL_TOKEN_HEADER]: await worker.token() };
    const response = await fetch(`${edge}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...token, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: expect.any(String) });
    expect(calls()).toHaveLength(before);
  });
});

describe('another server that', () => {
  it('refuses the input is invalid input to the caller, by its status: nothing of its text is repeated', async () => {
    const theirs = await worker.infer('digits', { inputs: [{ name: 'pixel_values', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] });
    expect(theirs).toMatchObject({ status: 400, body: { error: 'The server that runs the model refused the call with status 400.' } });
    expect(theirs.headers.get('x-weir-error-code')).toBe('model.input_invalid');
    server.fault(refusing(422, { error: 'what the server holds' }));
    const answer = await worker.infer('digits', pixels());
    expect(answer).toMatchObject({ status: 400, body: { error: 'The server that runs the model refused the call with status 422.' } });
    expect(logged.join('\n')).not.toContain('what the server holds');
  });

  it('fails is an error that can be retried; its status is in the log and its text nowhere', async () => {
    server.fault(refusing(500, { error: 'what the server holds' }));
    const answer = await worker.infer('digits', pixels());
    expect(answer).toMatchObject({ status: 503, body: { error: 'The server that runs the model could not answer.' } });
    expect(answer.headers.get('x-weir-error-code')).toBe('worker.unreachable');
    expect(logged.join('\n')).toContain('answered with status 500');
    expect(logged.join('\n')).not.toContain('what the server holds');
  });

  it('is overloaded is overload to the caller, with its wish for a wait', async () => {
    server.fault(refusing(429, { error: 'busy' }, { 'retry-after': '3' }));
    const answer = await worker.infer('digits', pixels());
    expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('x-weir-error-code')]).toEqual([
      429,
      '3',
      'worker.overloaded',
    ]);
  });

  it('answers something else than the protocol is the failure of the model', async () => {
    server.fault(refusing(200, ['hello']));
    expect((await worker.infer('digits', pixels())).status).toBe(500);
  });

  it('does not answer in time is given up, and hung up on', async () => {
    server.fault(silent);
    const answer = await worker.infer('digits', pixels(), { 'x-weir-timeout-ms': '50' });
    expect(answer).toMatchObject({ status: 504, body: { error: 'The call took longer than its 50 ms.' } });
    await eventually(() => server.underWay() === 0);
  });

  it('is hung up on when the caller has gone', async () => {
    server.fault(silent);
    const controller = new AbortController();
    const abandoned = worker.infer('digits', pixels(), {}, controller.signal).catch(() => 'gone');
    await eventually(() => server.underWay() === 1);
    controller.abort();
    expect(await abandoned).toBe('gone');
    await eventually(() => server.underWay() === 0);
  });

  it('is slow gets so many calls at once, and those beyond the queue are refused at once', async () => {
    server.fault(silent);
    const before = calls().length;
    const controller = new AbortController();
    const taken = [1, 2].map(() => worker.infer('digits', pixels(), {}, controller.signal).catch(() => 'gone'));
    await eventually(() => calls().length === before + 2);
    const waiting = worker.infer('digits', pixels(), { 'x-weir-timeout-ms': '1000' });
    await eventually(async () =>
      /^weir_model_queue_length\{[^}]*model="digits"[^}]*\} 1$/m.test(await (await worker.get('/metrics')).text()),
    );
    const refused = await worker.infer('digits', pixels());
    expect([refused.status, refused.headers.get('x-weir-error-code')]).toEqual([429, 'worker.overloaded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await waiting).status).toBe(504);
    controller.abort();
    expect(await Promise.all(taken)).toEqual(['gone', 'gone']);
    // The one that waited was never sent.
    expect(calls()).toHaveLength(before + 2);
  });

  it('is gone takes its version off the list until it is back; calls are refused at once meanwhile', async () => {
    server.fault(gone);
    const lost = await worker.infer('digits', pixels());
    expect([lost.status, lost.headers.get('x-weir-error-code')]).toEqual([503, 'worker.unreachable']);
    const announced = await worker.announced(digits.versionId, 'loading');
    expect(announced).toMatchObject({ error: 'The server that runs the model does not answer.' });
    const before = calls().length;
    const refused = await fetch(`${edge}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [INTERNAL_TOKEN_HEADER]: await worker.token() },
      body: JSON.stringify(pixels()),
    });
    expect([refused.status, refused.headers.get('x-weir-error-code')]).toEqual([503, 'model.not_ready']);
    expect(calls()).toHaveLength(before);
    server.fault(null);
    await worker.announced(digits.versionId, 'ready');
    expect((await worker.infer('digits', pixels())).status).toBe(200);
  });
});

describe('a version that another server is to run', () => {
  const problemOf = async (placement: PlacementState, state: 'loading' | 'failed') =>
    (
      await eventually(async () => {
        const found = await worker.announced(placement.versionId, state);
        return found.error === undefined ? undefined : found;
      })
    ).error;

  it('for a task whose tensors the server has not is never ready, and its owner is told what is missing', async () => {
    const wrong = await place('wrong', 'text-classification');
    expect(await problemOf(wrong, 'failed')).toBe(
      'For text-classification the server must take "text" BYTES and give "label", "score"; it takes "image" and gives "label", "score". Publish it for tensors.',
    );
    await worker.unplace(wrong);
  });

  it('under a name that the server does not know waits until it does', async () => {
    const unknown = await place('unknown', 'tensors', { model: 'nobody' });
    expect(await problemOf(unknown, 'loading')).toBe('The server that runs the model answered with status 404.');
    await worker.unplace(unknown);
  });

  it('with a secret that the worker has not, or that everyone may read, waits until that is put right; it is said nowhere', async () => {
    const sealed = await place('sealed', 'tensors', { secret: 'later' });
    expect(await problemOf(sealed, 'loading')).toBe("The worker's folder of secrets has none named later.");
    await writeFile(join(secrets, 'later'), SECRET, { mode: 0o600 });
    await chmod(join(secrets, 'later'), 0o644);
    await eventually(async () => (await problemOf(sealed, 'loading'))?.includes('may be read by everyone'));
    await chmod(join(secrets, 'later'), 0o600);
    await worker.announced(sealed.versionId, 'ready');
    expect(JSON.stringify(worker.worker())).not.toContain(SECRET);
    expect(logged.join('\n')).not.toContain(SECRET);
    await worker.unplace(sealed);
  });

  it('is withdrawn without losing the calls that are under way', async () => {
    const leaving = await place('leaving', 'tensors');
    await worker.announced(leaving.versionId, 'ready');
    let answer: (() => void) | null = null;
    server.fault((request, response) => {
      if (request.method !== 'POST') return false;
      const outputs = [{ name: 'y', datatype: 'FP32', shape: [1], data: [1] }];
      answer = () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ model_name: 'm', outputs }));
      return true;
    });
    const call = worker.infer('leaving', pixels());
    const release = await eventually(() => answer);
    await worker.unplace(leaving);
    await eventually(() => worker.worker()?.versions.every(({ versionId }) => versionId !== leaving.versionId));
    const late = await send({ headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(pixels())) }, 'leaving');
    expect([late.status, late.headers['x-weir-error-code']]).toEqual([404, 'model.not_found']);
    release();
    expect((await call).status).toBe(200);
  });

  it('keeps a stopping worker until its calls are answered', async () => {
    const stopping = await startTestWorker({ WEIR_WORKER_SECRETS_DIR: secrets, WEIR_BACK_ENDS_ALLOW_LOCAL: 'true' });
    const last = await stopping.place('last', 'tensors', new Map(), { backend: backend() });
    await stopping.announced(last.versionId, 'ready');
    let answer: (() => void) | null = null;
    server.fault((request, response) => {
      if (request.method !== 'POST') return false;
      const outputs = [{ name: 'y', datatype: 'FP32', shape: [1], data: [1] }];
      answer = () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ model_name: 'm', outputs }));
      return true;
    });
    const call = stopping.infer('last', pixels());
    const release = await eventually(() => answer);
    const stopped = stopping.stop();
    release();
    expect((await call).status).toBe(200);
    await stopped;
    await stopping.close();
  });

  it('is looked after while nobody calls it', async () => {
    const watching = await startTestWorker({
      WEIR_WORKER_SECRETS_DIR: secrets,
      WEIR_BACK_ENDS_ALLOW_LOCAL: 'true',
      WEIR_WORKER_HEALTH_INTERVAL_MS: '100',
    });
    const watched = await watching.place('watched', 'tensors', new Map(), { backend: backend() });
    await watching.announced(watched.versionId, 'ready');
    server.fault(gone);
    await watching.announced(watched.versionId, 'loading');
    server.fault(null);
    await watching.announced(watched.versionId, 'ready');
    await watching.close();
  });
});

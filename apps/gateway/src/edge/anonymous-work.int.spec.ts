import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { METRICS } from '@weir/platform/service';
import type { Registry } from '@weir/platform/telemetry';
import { eventually } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OpenInferenceWorld } from '../inference/open-inference-world.fixture.ts';

let world: OpenInferenceWorld;
let key: string;

beforeAll(async () => {
  world = await OpenInferenceWorld.start();
  key = await world.aKey('acme');
});
afterAll(() => world.close());

const SURFACES = ['/graphql', '/v2/models/digits/infer', '/v2/repository/index', '/auth/sign-in'];

/** Status and code of an answer, whatever the surface's shape. */
async function outcomeOf(response: Response): Promise<[number, string | undefined]> {
  const text = await response.text();
  const code = response.headers.get('x-weir-error-code') ?? /"code":"([\w.]+)"/.exec(text)?.[1];
  return [response.status, code];
}

const post = (path: string, body: string | ReadableStream, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(world.gateway.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  });

/** Connects and sends bytes as they are. */
function send(bytes: string): Socket {
  const socket = connect(Number(new URL(world.gateway.url).port), '127.0.0.1');
  socket.write(bytes);
  return socket;
}

async function answerOf(socket: Socket): Promise<{ status: number; text: string }> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return { status: Number(text.split(' ')[1]), text };
}

describe('a body without a valid credential', () => {
  it.each(SURFACES)('above 16 KiB is refused at %s, by its headers alone', async (path) => {
    // The body never comes: what answers has not waited for it.
    const socket = send(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 150000\r\n\r\n`);
    const [first] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(String(first)).toMatch(/^HTTP\/1.1 413 /);
    expect(String(first)).toContain('Without a credential a body may have 16384 bytes.');
  });

  it.each(SURFACES)('in chunks is read no further than 16 KiB at %s', async (path) => {
    let sent = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        sent += 8_192;
        controller.enqueue(Buffer.alloc(8_192, ' '));
        if (sent > 100_000_000) controller.close();
      },
    });
    await post(path, endless).then(
      async (response) => expect(await outcomeOf(response)).toEqual([413, 'request.too_large']),
      // The connection may break while the client still sends.
      () => undefined,
    );
    expect(sent).toBeLessThan(50_000_000);
  });

  it('is refused for its credential when it has one that is not valid', async () => {
    for (const path of SURFACES)
      expect(await outcomeOf(await post(path, ' '.repeat(20_000), { authorization: 'Bearer weir_sk_wrong' }))).toEqual([
        401,
        'auth.invalid',
      ]);
  });

  it('is read when it is small, and a large one with a key', async () => {
    expect(await outcomeOf(await post('/graphql', '{"query":"{ __typename }"}'))).toEqual([200, undefined]);
    expect(await outcomeOf(await post('/v2/models/digits/infer', '{}'))).toEqual([401, 'auth.required']);
    const image = 'x'.repeat(100_000);
    const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'BYTES', data: [image] }] });
    expect(await outcomeOf(await post('/v2/models/digits/infer', body, { authorization: `Bearer ${key}` }))).toEqual([200, undefined]);
  });
});

it.each(['/graphql', '/v2/models/digits/infer', '/v2/repository/index', '/auth/sign-in'])(
  'JSON that nests thousands of levels is refused at %s before it is parsed or sent on',
  async (path) => {
    const calls = world.worker.calls.length;
    const body = `{"a":"]","b":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
    for (const type of ['application/json', 'application/JSON'])
      expect(await outcomeOf(await post(path, body, { authorization: `Bearer ${key}`, 'content-type': type }))).toEqual([
        400,
        'request.invalid',
      ]);
    expect(world.worker.calls.length).toBe(calls);
  },
);

it('a client that disconnects in the middle of its body is counted as request.cancelled, and is no error of the gateway', async () => {
  const metricsOf = (): Promise<string> => world.gateway.app.get<Registry>(METRICS).metrics();
  const failures = /^weir_errors_total\{code="internal.error".*$/m.exec(await metricsOf())?.[0];
  for (const path of SURFACES)
    send(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`).end();
  await eventually(async () =>
    expect(await metricsOf()).toMatch(/^weir_errors_total\{code="request.cancelled",service="gateway"\} [1-9]/m),
  );
  expect(/^weir_errors_total\{code="internal.error".*$/m.exec(await metricsOf())?.[0]).toBe(failures);
});

it('metrics name errors by their code, and no tenant, key or model', async () => {
  const metrics = await world.gateway.app.get<Registry>(METRICS).metrics();
  expect(metrics).toMatch(/^weir_errors_total{code="auth.invalid",service="gateway"} \d+$/m);
  expect(metrics).toContain('route="/v2/models/:model/infer",status="200"');
  expect(metrics).not.toMatch(/acme|digits|weir_sk_/);
});

it('a request that arrives while the process stops gets service.stopping in the shape of its surface, and health tells why', async () => {
  let answerWorker = (): void => {};
  world.worker.answers = () => new Promise((resolve) => (answerWorker = () => resolve(undefined)));
  const begun = [
    'GET /v2/models/digits HTTP/1.1\r\nhost: x\r\n',
    'GET /graphql?query={__typename} HTTP/1.1\r\nhost: x\r\n',
    'GET /auth/session HTTP/1.1\r\nhost: x\r\n',
    'GET /health/ready HTTP/1.1\r\nhost: x\r\n',
  ].map(send);
  await Promise.all(begun.filter((socket) => socket.connecting).map((socket) => once(socket, 'connect')));
  const inFlight = post('/v2/models/digits/infer', JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }] }), {
    authorization: `Bearer ${key}`,
  });
  const calls = world.worker.calls.length;
  await eventually(() => expect(world.worker.calls.length).toBe(calls + 1));
  const stopped = world.gateway.stop();
  // Nothing new is taken any more: now what was begun before is completed.
  await eventually(() => expect(fetch(world.gateway.url)).rejects.toThrow());
  for (const socket of begun) socket.write('\r\n');
  const [openInference, graph, auth, health] = await Promise.all(begun.map(answerOf));
  expect(openInference?.text).toMatch(/^HTTP\/1.1 503 [^]*x-weir-error-code: service.stopping\r\n[^]*{"error":"/i);
  expect(graph?.text).toMatch(/^HTTP\/1.1 503 [^]*retry-after: 1\r\n[^]*{"errors":\[{[^]*"code":"service.stopping"/i);
  expect(auth?.text).toMatch(/^HTTP\/1.1 503 [^]*{"error":{"code":"service.stopping"[^]*"requestId":"[\w-]{36}"/i);
  expect(health?.text).toMatch(/^HTTP\/1.1 503 [^]*"status":"not ready"/);
  answerWorker();
  expect((await inFlight).status).toBe(200);
  await stopped;
});

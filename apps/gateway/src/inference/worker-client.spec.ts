import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InternalTokenSigner, InternalTokenVerifier, INTERNAL_TOKEN_HEADER } from '@weir/access';
import { createLogger, createMetrics } from '@weir/platform/telemetry';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { aPrincipal } from './gateway-world.fixture.ts';
import { presenceOfSignal } from './caller-presence.ts';
import { UsageClaims } from './usage-claims.ts';
import { InterruptedCallError, WorkerClient, WorkerLostError, type WorkerRequest } from './worker-client.ts';

const keys = generateKeyPairSync('ed25519');
const kid = 'gateway.spec';
const signer = new InternalTokenSigner({ service: 'gateway', jwk: { ...keys.privateKey.export({ format: 'jwk' }), kid } });
const verifier = new InternalTokenVerifier('worker', { keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid }] });

const logger = createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' });

let server: Server;
let client: WorkerClient;
let seen: { path: string; headers: Record<string, unknown>; body: string };
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  client = new WorkerClient(signer, new UsageClaims(logger, createMetrics('gateway')), { gatewayMaxInFlight: 1_024 });
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      seen = { path: request.url ?? '', headers: request.headers, body };
      answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  await client.onApplicationShutdown();
  server.closeAllConnections();
  server.close();
});

function aRequest(overrides: Partial<WorkerRequest> = {}): WorkerRequest {
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    modelId: 'model/1',
    model: 'digits',
    version: '1',
    principal: aPrincipal(),
    requestId: 'request-1',
    message: { headers: { 'content-type': 'application/json' }, body: Buffer.from('{"inputs":[]}') },
    timeoutMs: 5_000,
    ...overrides,
  };
}

describe('calling a worker', () => {
  test('the call carries a token of the principal for the worker, the deadline and the request id; the answer its counts', async () => {
    answer = (response) => response.writeHead(200, { 'x-weir-usage': 'inputs=2,input-tokens=31' }).end('{"outputs":[]}');
    const result = await client.infer(aRequest());
    expect(result.message.body.toString()).toBe('{"outputs":[]}');
    expect(result.quantities).toEqual([
      { meter: 'inputs', quantity: '2' },
      { meter: 'input-tokens', quantity: '31' },
    ]);
    expect(seen.path).toBe('/v2/models/model%2F1/versions/1/infer');
    expect(seen.headers).toMatchObject({ 'x-request-id': 'request-1', 'x-weir-timeout-ms': '5000', 'x-weir-model-name': 'digits' });
    const { caller, principal } = await verifier.verify(String(seen.headers[INTERNAL_TOKEN_HEADER]));
    expect(caller).toBe('gateway');
    expect(principal).toMatchObject({ tenantId: 'acme', id: 'key-1' });
  });

  test('bytes of the binary extension go and come with the length of their JSON, and the priority goes along', async () => {
    const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': '2' };
    answer = (response) => response.writeHead(200, { ...headers, 'x-secret': 'of the worker' }).end('{}\u0001');
    const result = await client.infer(aRequest({ message: { headers, body: Buffer.from('{}\u0002') }, priority: 'batch' }));
    expect(seen.headers).toMatchObject({ ...headers, 'x-weir-priority': 'batch' });
    expect(seen.body).toBe('{}\u0002');
    expect(result.message).toEqual({ headers, body: Buffer.from('{}\u0001') });
  });

  test("the worker's error keeps its code, message and retry time", async () => {
    answer = (response) =>
      response
        .writeHead(429, { 'x-weir-error-code': 'worker.overloaded', 'retry-after': '2' })
        .end('{"error":"the queue of the model is full"}');
    await expect(client.infer(aRequest())).rejects.toMatchObject({
      code: 'worker.overloaded',
      message: 'the queue of the model is full',
      retryAfterMs: 2_000,
    });
  });

  test('an error of a server that is not ours is said in the terms of the table', async () => {
    answer = (response) => response.writeHead(400).end('{"error":"unexpected shape for input"}');
    await expect(client.infer(aRequest())).rejects.toMatchObject({ code: 'model.input_invalid', message: 'unexpected shape for input' });
    answer = (response) => response.writeHead(500).end('<html>stack</html>');
    const error: unknown = await client.infer(aRequest()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'model.failed' });
    expect((error as Error).message).not.toContain('html');
  });

  test('a worker that is gone, before or during the call, is a lost worker', async () => {
    await expect(client.infer(aRequest({ url: 'http://127.0.0.1:1' }))).rejects.toBeInstanceOf(WorkerLostError);
    answer = (response) => response.destroy();
    await expect(client.infer(aRequest())).rejects.toBeInstanceOf(WorkerLostError);
  });

  test.each(['model.not_found', 'model.not_ready', 'service.stopping'])(
    'a worker that was restarted or is stopping (%s) is a lost worker too',
    async (code) => {
      answer = (response) => response.writeHead(503, { 'x-weir-error-code': code }).end('{"error":"not here"}');
      await expect(client.infer(aRequest())).rejects.toBeInstanceOf(WorkerLostError);
    },
  );

  test('a call that its worker ends at the deadline tells what had begun to run; without that, nothing had', async () => {
    const refuse = (usage: Record<string, string>): void => {
      answer = (response) => response.writeHead(504, { 'x-weir-error-code': 'request.timeout', ...usage }).end('{"error":"late"}');
    };
    refuse({ 'x-weir-usage': 'inputs=3,input-tokens=40' });
    const error: unknown = await client.infer(aRequest()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InterruptedCallError);
    expect(error).toMatchObject({
      code: 'request.timeout',
      quantities: [
        { meter: 'inputs', quantity: '3' },
        { meter: 'input-tokens', quantity: '40' },
      ],
    });
    refuse({});
    const waited: unknown = await client.infer(aRequest()).catch((thrown: unknown) => thrown);
    expect(waited).toMatchObject({ code: 'request.timeout' });
    expect(waited).not.toBeInstanceOf(InterruptedCallError);
  });

  test('usage beside any other error is none: what the platform fails at is not metered', async () => {
    answer = (response) =>
      response.writeHead(500, { 'x-weir-error-code': 'model.failed', 'x-weir-usage': 'inputs=3,input-tokens=40' }).end('{"error":"no"}');
    const error: unknown = await client.infer(aRequest()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'model.failed' });
    expect(error).not.toBeInstanceOf(InterruptedCallError);
  });

  test('a worker that does not answer in time is a timeout', async () => {
    answer = () => undefined;
    await expect(client.infer(aRequest({ timeoutMs: 100 }))).rejects.toMatchObject({ code: 'request.timeout' });
  });

  test("a tenant's call does not wait for a connection behind slow calls of another tenant", async () => {
    let held = 0;
    answer = (response) => {
      if (seen.body === 'slow') held++;
      else response.writeHead(200).end('{"outputs":[]}');
    };
    const slow = { headers: { 'content-type': 'application/json' }, body: Buffer.from('slow') };
    const held100 = Array.from({ length: 100 }, () => client.infer(aRequest({ message: slow })).catch(() => null));
    await vi.waitFor(() => expect(held).toBe(100), { timeout: 5_000 });
    await expect(client.infer(aRequest({ principal: aPrincipal({ tenantId: 'globex' }) }))).resolves.toBeDefined();
    server.closeAllConnections();
    await Promise.all(held100);
  });

  test('a caller who disconnects has the call cancelled at its worker, whose answer tells what had begun to run', async () => {
    const caller = new AbortController();
    let call: ServerResponse | undefined;
    let callId: unknown;
    let attempts = 0;
    answer = (response) => {
      if (!seen.path.endsWith('/cancel')) {
        call = response;
        callId = seen.headers['x-weir-call-id'];
        return caller.abort();
      }
      expect(seen.path).toBe(`/v2/calls/${String(callId)}/cancel`);
      // The first cancellation has overtaken its call.
      if (++attempts === 1) return void response.writeHead(404).end('{}');
      response.writeHead(200).end('{}');
      call?.writeHead(499, { 'x-weir-error-code': 'request.cancelled', 'x-weir-usage': 'inputs=2,input-tokens=0' }).end('{"error":"gone"}');
    };
    const error: unknown = await client.infer(aRequest({ caller: presenceOfSignal(caller.signal) })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InterruptedCallError);
    expect(error).toMatchObject({ code: 'request.cancelled', quantities: [{ meter: 'inputs', quantity: '2' }, { meter: 'input-tokens' }] });
    expect(attempts).toBe(2);
  });

  test('a worker that does not answer a cancellation has the connection closed, and nothing is known to have begun', async () => {
    const caller = new AbortController();
    const closed = Promise.withResolvers<void>();
    answer = (response) => {
      response.once('close', () => closed.resolve());
      caller.abort();
    };
    const error: unknown = await client.infer(aRequest({ caller: presenceOfSignal(caller.signal) })).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'request.cancelled' });
    expect(error).not.toBeInstanceOf(InterruptedCallError);
    await closed.promise;
  });

  test('a call whose caller has disconnected is not sent', async () => {
    let isAsked = false;
    answer = () => void (isAsked = true);
    await expect(client.infer(aRequest({ caller: presenceOfSignal(AbortSignal.abort()) }))).rejects.toMatchObject({
      code: 'request.cancelled',
    });
    expect(isAsked).toBe(false);
  });
});

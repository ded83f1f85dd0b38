import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { Module } from '@nestjs/common';
import { issueApiKey } from '@weir/access';
import { apiKeyChanged, tenantChanged, type EventDefinition } from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { toRecord } from '@weir/platform/bus';
import { eventually, startTestService, type TestService } from '@weir/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { GraphModule } from '../graph/graph.module.ts';
import { ProjectionsModule } from '../projections/projections.module.ts';
import { gatewaySettings } from '../settings.ts';
import { WelcomeModule } from '../welcome/welcome.module.ts';
import { EdgeModule } from './edge.module.ts';

@Module({ imports: [EdgeModule, ProjectionsModule, GraphModule, WelcomeModule] })
class SpecModule {}

let gateway: TestService;

beforeAll(async () => {
  const nowhere = 'http://127.0.0.1:9';
  gateway = await startTestService(
    {
      name: 'gateway',
      module: SpecModule,
      settings: gatewaySettings,
      surface: 'public',
      bodyLimitBytes: (settings) => settings.bodyLimitBytes,
    },
    {
      environment: {
        WEIR_AUTH_URL: nowhere,
        WEIR_REGISTRY_URL: nowhere,
        WEIR_METERING_URL: nowhere,
        WEIR_BILLING_URL: nowhere,
        WEIR_SPOOL_DIR: tmpdir(),
      },
    },
  );
});
afterAll(() => gateway.close());

async function announce<T>(definition: EventDefinition<T>, data: T): Promise<void> {
  await gateway.bus.send(definition.topic, [
    toRecord(definition, data, { id: systemIds.next(), source: 'spec', tenant: 'acme', occurredAt: new Date().toISOString() }),
  ]);
}

async function codeFor(secret: string): Promise<string> {
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: JSON.stringify({ query: '{ platform { version } }' }),
  });
  const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
  return errors?.[0]?.extensions.code ?? 'accepted';
}

test('a key works soon after it was made, and after it was revoked it is refused within five seconds, on sockets too', async () => {
  const { id, secret, digest } = issueApiKey();
  expect(await codeFor(secret)).toBe('auth.invalid');
  await announce(tenantChanged, { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'active' });
  await announce(apiKeyChanged, {
    id,
    tenantId: 'acme',
    digest,
    name: 'k',
    scopes: ['infer'],
    limits: { requestsPerMinute: null, maxInFlight: null },
    expiresAt: null,
  });
  await eventually(async () => expect(await codeFor(secret)).toBe('accepted'));

  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { apiKey: secret } }));
  expect(String(((await once(socket, 'message')) as [Buffer])[0])).toBe('{"type":"connection_ack"}');
  const closed = once(socket, 'close') as Promise<[number]>;
  const revokedAt = Date.now();
  await gateway.bus.send('auth.api-keys', [{ key: digest, value: null }]);
  await eventually(async () => expect(await codeFor(secret)).toBe('auth.invalid'));
  expect((await closed)[0]).toBe(4401);
  expect(Date.now() - revokedAt).toBeLessThan(5_000);
});

test('a suspended tenant is refused on every key, and the gateway is ready without any service', async () => {
  const { id, secret, digest } = issueApiKey();
  await announce(apiKeyChanged, {
    id,
    tenantId: 'acme',
    digest,
    name: 'k',
    scopes: ['infer'],
    limits: { requestsPerMinute: null, maxInFlight: null },
    expiresAt: null,
  });
  await eventually(async () => expect(await codeFor(secret)).toBe('accepted'));
  await announce(tenantChanged, { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'suspended' });
  await eventually(async () => expect(await codeFor(secret)).toBe('access.tenant_suspended'));
  expect((await fetch(`${gateway.url}/health/ready`)).status).toBe(200);
});

test('what is not served answers 404 from the error table, and no stack', async () => {
  for (const path of ['/scim/v2/Users', '/uploads/x', '/webhooks/stripe', '/api/v1/events', '/metrics']) {
    const response = await fetch(gateway.url + path);
    expect([path, response.status]).toEqual([path, 404]);
    expect(await response.json()).toMatchObject({ error: { code: 'request.not_found', requestId: response.headers.get('x-request-id') } });
  }
});

/** What the gateway answers to bytes that no HTTP client would send. */
async function answerTo(bytes: string): Promise<{ status: number; body: string }> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  socket.end(bytes);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return { status: Number(text.split(' ')[1]), body: text.slice(text.indexOf('\r\n\r\n') + 4) };
}

test('what is no HTTP, or names no readable address, gets an error of the table that repeats nothing', async () => {
  const refusals: readonly (readonly [string, number, string])[] = [
    ['GARBAGE\r\n\r\n', 400, 'request.invalid'],
    ['FOO / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'request.invalid'],
    [`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'request.too_large'],
    ['GET /v2/models/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404, 'request.not_found'],
    [`GET /v2/models/${'x'.repeat(500)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, 404, 'request.not_found'],
  ];
  for (const [bytes, status, code] of refusals) {
    const answer = await answerTo(bytes);
    expect([bytes.slice(0, 40), answer.status, JSON.parse(answer.body)]).toMatchObject([bytes.slice(0, 40), status, { error: { code } }]);
    expect(answer.body).not.toMatch(/GARBAGE|xxx|%zz|FST_/);
  }
});

test('a compressed body is refused on every surface, and whoever accepts no JSON is told so', async () => {
  for (const path of ['/graphql', '/auth/sign-in', '/v2/models/x/infer']) {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const response = await fetch(gateway.url + path, { method: 'POST', headers, body: '{}' });
    expect([path, response.status]).toEqual([path, 415]);
    expect(await response.text()).toContain('"request.unsupported_media_type"');
  }
  const response = await fetch(`${gateway.url}/graphql?query={__typename}`, { headers: { accept: 'text/xml' } });
  expect(response.status).toBe(406);
  expect(await response.text()).toContain('accept application/json');
});

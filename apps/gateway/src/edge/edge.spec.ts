import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Global, Headers, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { INTERNAL_TOKEN_HEADER, InternalTokenSigner, InternalTokenVerifier } from '@weir/access';
import { AppErrorFilter, trustIn } from '@weir/platform/http';
import { LOGGER, SETTINGS, TOKEN_SIGNER } from '@weir/platform/service';
import { createLogger } from '@weir/platform/telemetry';
import { aPrincipal, testSigningKeys, type TestSigningKeys } from '@weir/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AuthForwarding } from './auth-forwarding.ts';
import { Authenticator } from './authenticator.ts';
import { ClientAddresses } from './client-addresses.ts';
import { PublicSurface } from './public-surface.ts';

interface Seen {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

let auth: Server;
let seen: Seen[] = [];
let keys: TestSigningKeys;
let app: NestFastifyApplication;
let url: string;

@Controller()
class EchoController {
  @Get('/echo')
  echo(@Headers() headers: IncomingHttpHeaders): IncomingHttpHeaders {
    return headers;
  }
}

/** The edge in front of auth. @param warnings what it logs at level warn */
async function anApp(
  settings: { trustedProxies: readonly string[]; publicUrl: string | undefined },
  warnings: string[] = [],
): Promise<NestFastifyApplication> {
  const logger = createLogger({
    service: 'spec',
    instanceId: 'spec',
    level: 'warn',
    destination: { write: (line: string) => void warnings.push(line) },
  });
  const authenticator: Pick<Authenticator, 'identify'> = {
    identify: (request) => (request.headers.authorization === undefined ? null : { principal: aPrincipal(), limits: null }),
  };
  const shared = [
    {
      provide: SETTINGS,
      useValue: { authUrl: `http://127.0.0.1:${(auth.address() as AddressInfo).port}`, bodyLimitBytes: 1_000_000, ...settings },
    },
    { provide: LOGGER, useValue: logger },
    { provide: TOKEN_SIGNER, useValue: new InternalTokenSigner(keys.keyOf('gateway')) },
    { provide: Authenticator, useValue: authenticator },
  ];
  @Global()
  @Module({ providers: [...shared, ClientAddresses, PublicSurface, AuthForwarding], controllers: [EchoController] })
  class SpecModule {}
  const made = await NestFactory.create<NestFastifyApplication>(
    SpecModule,
    new FastifyAdapter({ trustProxy: trustIn(settings.trustedProxies) }),
    { logger: false },
  );
  made.useGlobalFilters(new AppErrorFilter(logger));
  await made.listen(0, '127.0.0.1');
  return made;
}

beforeAll(async () => {
  auth = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += String(chunk)));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      response
        .writeHead(201, {
          'content-type': 'application/json',
          'set-cookie': ['weir_session=x; HttpOnly', 'b=c'],
          'x-powered-by': 'secret',
          'x-request-id': 'other',
        })
        .end('{"ok":true}');
    });
  });
  await new Promise<void>((resolve) => auth.listen(0, '127.0.0.1', resolve));
  keys = await testSigningKeys();
  app = await anApp({ trustedProxies: [], publicUrl: undefined });
  url = await app.getUrl();
});
beforeEach(() => {
  seen = [];
});
afterAll(async () => {
  await app.close();
  auth.closeAllConnections();
  auth.close();
});

test('a request keeps a sane id of its caller, and gets one otherwise', async () => {
  const idOf = async (sent?: string): Promise<string | null> =>
    (await fetch(`${url}/echo`, { headers: sent === undefined ? {} : { 'x-request-id': sent } })).headers.get('x-request-id');
  expect(await idOf('my-request-1')).toBe('my-request-1');
  for (const sent of ['short', 'x'.repeat(65), 'with space and $', undefined]) expect(await idOf(sent)).toMatch(/^[0-9a-f-]{36}$/);
});

test('headers of our own hops are taken from what comes from outside', async () => {
  const forged = {
    [INTERNAL_TOKEN_HEADER]: 'forged',
    'x-forwarded-for': '1.2.3.4',
    'x-forwarded-host': 'evil',
    forwarded: 'for=1.2.3.4',
    'x-real-ip': '1.2.3.4',
    'x-other': 'stays',
  };
  const got = (await (await fetch(`${url}/echo`, { headers: forged })).json()) as Record<string, string>;
  expect(Object.keys(got)).not.toEqual(expect.arrayContaining([INTERNAL_TOKEN_HEADER]));
  for (const name of [INTERNAL_TOKEN_HEADER, 'x-forwarded-for', 'x-forwarded-host', 'forwarded', 'x-real-ip'])
    expect(got).not.toHaveProperty(name);
  expect(got['x-other']).toBe('stays');
});

describe('behind a trusted proxy', () => {
  let proxied: NestFastifyApplication;
  const warnings: string[] = [];

  beforeAll(async () => {
    proxied = await anApp({ trustedProxies: ['loopback', '10.0.0.0/8'], publicUrl: 'https://weir.example' }, warnings);
  });
  afterAll(() => proxied.close());

  test("the client's address is what the proxy says, for auth as well, and not what the client said before it", async () => {
    const headers = {
      'x-forwarded-for': '6.6.6.6, 198.51.100.7, 10.0.0.2',
      'x-forwarded-host': 'evil, weir.example',
      'x-forwarded-proto': 'https',
      forwarded: 'for=1.2.3.4',
      'x-real-ip': '1.2.3.4',
    };
    const got = (await (await fetch(`${await proxied.getUrl()}/echo`, { headers })).json()) as Record<string, string>;
    expect(got['x-forwarded-for']).toBe('198.51.100.7');
    for (const name of ['forwarded', 'x-real-ip']) expect(got).not.toHaveProperty(name);
    expect((await fetch(`${await proxied.getUrl()}/auth/session`, { headers })).status).toBe(201);
    expect(seen[0]?.headers).toMatchObject({
      'x-forwarded-for': '198.51.100.7',
      'x-forwarded-host': 'weir.example',
      'x-forwarded-proto': 'https',
    });
    expect(warnings).toEqual([]);
  });

  test('a start with a public address of another host and no trusted proxy is warned of', async () => {
    await (await anApp({ trustedProxies: [], publicUrl: 'https://weir.example' }, warnings)).close();
    expect(warnings.splice(0).join()).toContain('WEIR_TRUSTED_PROXIES');
    for (const local of [undefined, 'http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080'])
      await (await anApp({ trustedProxies: [], publicUrl: local }, warnings)).close();
    expect(warnings).toEqual([]);
  });
});

test('every answer has safe headers, and no other site may read it', async () => {
  for (const path of ['/echo', '/nothing', '/auth/session']) {
    const { headers } = await fetch(url + path, { headers: { origin: 'https://evil.example' } });
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('strict-transport-security')).toBeNull();
  }
});

test('sign-in is sent on to auth with its body, an internal token and the id of the request, and answered as auth answers', async () => {
  const response = await fetch(`${url}/auth/sign-in?next=x`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-request-id': 'request-77',
      'x-secret-of-the-edge': 'stays',
      [INTERNAL_TOKEN_HEADER]: 'forged',
      'x-forwarded-for': '6.6.6.6',
    },
    body: '{"email":"a@b.c"}',
  });
  expect([response.status, await response.text()]).toEqual([201, '{"ok":true}']);
  expect(response.headers.getSetCookie()).toEqual(['weir_session=x; HttpOnly', 'b=c']);
  expect(response.headers.get('x-powered-by')).toBeNull();
  expect(response.headers.get('x-request-id')).toBe('request-77');
  expect(seen).toHaveLength(1);
  const { method, url: path, headers, body } = seen[0] as Seen;
  expect([method, path, body]).toEqual(['POST', '/auth/sign-in?next=x', '{"email":"a@b.c"}']);
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'x-request-id': 'request-77', 'x-forwarded-for': '127.0.0.1' });
  expect(headers).not.toHaveProperty('x-secret-of-the-edge');
  const { caller, principal } = await new InternalTokenVerifier('auth', keys.keySet).verify(headers[INTERNAL_TOKEN_HEADER] as string);
  expect([caller, principal.kind, principal.scopes.size]).toEqual(['gateway', 'service', 0]);
});

test('a caller who is known goes on as that principal, and the public keys are served', async () => {
  await fetch(`${url}/auth/session`, { headers: { authorization: 'Bearer x' } });
  const { principal } = await new InternalTokenVerifier('auth', keys.keySet).verify(seen[0]?.headers[INTERNAL_TOKEN_HEADER] as string);
  expect(principal).toMatchObject({ kind: 'person', tenantId: 'acme' });
  expect((await fetch(`${url}/.well-known/jwks.json`)).status).toBe(201);
  expect(seen[1]?.url).toBe('/.well-known/jwks.json');
});

test("another site's page cannot sign its visitor in or out, our own can", async () => {
  const outcome = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${url}/auth/sign-out`, { method: 'POST', headers })).status;
  expect([await outcome({ origin: 'https://evil.example' }), await outcome({ origin: 'null' })]).toEqual([403, 403]);
  expect(seen).toEqual([]);
  expect([await outcome({ origin: url }), await outcome({})]).toEqual([201, 201]);
});

test('no path leads out of what auth serves here', async () => {
  for (const path of [
    '/auth/%2e%2e/graphql',
    '/auth/..%2fgraphql',
    '/auth/a%2f..%2f..%2fgraphql',
    '/scim/v2/Users',
    '/uploads/x',
    '/webhooks/stripe',
  ])
    expect((await fetch(url + path)).status).toBe(404);
  expect(seen).toEqual([]);
});

test('a body that is too large for a sign-in is refused with 413', async () => {
  const response = await fetch(`${url}/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: 'x'.repeat(70_000),
  });
  expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([413, 'request.too_large']);
});

test('when auth is down the answer is service.unavailable with the id of the request', async () => {
  const port = (auth.address() as AddressInfo).port;
  auth.closeAllConnections();
  await new Promise((resolve) => auth.close(resolve));
  const response = await fetch(`${url}/auth/session`, { headers: { 'x-request-id': 'request-78' } });
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBe('1');
  expect(await response.json()).toMatchObject({ error: { code: 'service.unavailable', requestId: 'request-78' } });
  await new Promise<void>((resolve) => auth.listen(port, '127.0.0.1', resolve));
  expect((await fetch(`${url}/auth/session`)).status).toBe(201);
});

import { once } from 'node:events';
import { get } from 'node:http';
import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { InternalTokenSigner } from '@weir/access';
import { AppError, systemIds } from '@weir/kernel';
import { AppErrorFilter } from '@weir/platform/http';
import { IDS, LOGGER, SETTINGS, TOKEN_SIGNER } from '@weir/platform/service';
import { createLogger } from '@weir/platform/telemetry';
import { aPrincipal, testSigningKeys } from '@weir/testing';
import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
  type GraphQLSchema,
  type IntrospectionQuery,
} from 'graphql';
import { auditServer } from 'graphql-http';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Authenticator } from '../edge/authenticator.ts';
import type { Caller } from '../edge/caller.ts';
import { ClientAddresses } from '../edge/client-addresses.ts';
import { PublicSurface } from '../edge/public-surface.ts';
import { WelcomeModule } from '../welcome/welcome.module.ts';
import { GraphModule } from './graph.module.ts';

let app: NestFastifyApplication;
let url: string;

const callerOf = (secret: unknown): Caller | null => {
  if (secret === undefined) return null;
  if (secret !== 'Bearer good') throw new AppError('auth.invalid');
  return { principal: aPrincipal(), limits: null };
};

beforeAll(async () => {
  const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });
  const keys = await testSigningKeys();
  // Nothing listens there: the graph is whole without the services.
  const nowhere = 'http://127.0.0.1:9';
  const authenticator: Pick<Authenticator, 'identify' | 'identifySocket'> = {
    identify: (request) => callerOf(request.headers.authorization),
    identifySocket: ({ params }) => callerOf(params.authorization),
  };
  const shared = [
    {
      provide: SETTINGS,
      useValue: {
        authUrl: nowhere,
        registryUrl: nowhere,
        meteringUrl: nowhere,
        billingUrl: nowhere,
        bodyLimitBytes: 3_000_000,
        publicUrl: 'https://weir.example',
        trustedProxies: ['10.0.0.0/8'],
        operationsPerTenant: 2,
        operationsPerAddress: 2,
        socketsPerTenant: 5,
        socketsPerAddress: 5,
      },
    },
    { provide: LOGGER, useValue: logger },
    { provide: IDS, useValue: systemIds },
    { provide: TOKEN_SIGNER, useValue: new InternalTokenSigner(keys.keyOf('gateway')) },
    { provide: Authenticator, useValue: authenticator },
  ];
  @Global()
  @Module({ providers: [...shared, ClientAddresses, PublicSurface], exports: [ClientAddresses, ...shared.map(({ provide }) => provide)] })
  class PartsModule {}
  @Module({ imports: [PartsModule, GraphModule, WelcomeModule] })
  class SpecModule {}
  app = await NestFactory.create<NestFastifyApplication>(SpecModule, new FastifyAdapter({ forceCloseConnections: true }), {
    logger: false,
  });
  app.useGlobalFilters(new AppErrorFilter(logger));
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(() => app.close());

async function ask(query: string, headers: Record<string, string> = { authorization: 'Bearer good' }) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as {
      data?: Record<string, unknown> | null;
      errors?: { extensions: { code: string; requestId: string } }[];
    },
  };
}

test('the platform graph passes every audit of GraphQL over HTTP', async () => {
  const withKey: typeof fetch = (to, init) =>
    fetch(to, { ...init, headers: { ...(init?.headers as Record<string, string>), authorization: 'Bearer good' } });
  const results = await auditServer({ url: `${url}/graphql`, fetchFn: withKey });
  expect(results.filter((result) => result.status !== 'ok').map((result) => result.name)).toEqual([]);
});

test('tools read the whole schema by introspection with a credential, and as a file without one', async () => {
  const introspection = getIntrospectionQuery({
    inputValueDeprecation: true,
    oneOf: true,
    schemaDescription: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
  });
  const { body } = await ask(introspection);
  expect(body.errors).toBeUndefined();
  const refused = await ask(introspection, {});
  expect([refused.status, refused.body.errors?.[0]?.extensions.code]).toEqual([401, 'auth.required']);
  const file = await fetch(`${url}/schema.graphql`);
  expect([file.status, file.headers.get('cache-control')]).toEqual([200, 'public, max-age=300']);
  const print = (schema: GraphQLSchema): string => printSchema(lexicographicSortSchema(schema));
  expect(print(buildSchema(await file.text()))).toBe(print(buildClientSchema(body.data as unknown as IntrospectionQuery)));
});

test('everything else needs a credential', async () => {
  expect((await ask('{ platform { version } }')).body.data).toEqual({ platform: { version: '0.1.0' } });
  expect((await ask('{ platform { version } }', {})).body.errors?.[0]?.extensions.code).toBe('auth.required');
  const wrong = await ask('{ __typename }', { authorization: 'Bearer wrong' });
  expect([wrong.status, wrong.body.errors?.[0]?.extensions.code]).toEqual([401, 'auth.invalid']);
  expect(wrong.headers.get('www-authenticate')).toContain('Bearer');
});

test('the id of the request is in the answer and in its errors', async () => {
  const { headers, body } = await ask('{ platform { version } }', { 'x-request-id': 'request-42' });
  expect([headers.get('x-request-id'), body.errors?.[0]?.extensions.requestId]).toEqual(['request-42', 'request-42']);
});

test('a body as large as an image is read of a caller with a credential, a larger one refused', async () => {
  const statusOf = async (bytes: number): Promise<unknown[]> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer good' },
      body: JSON.stringify({ query: '{ __typename }', variables: { image: 'x'.repeat(bytes) } }),
    });
    const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
    return [response.status, errors?.[0]?.extensions.code];
  };
  expect(await statusOf(2_000_000)).toEqual([200, undefined]);
  expect(await statusOf(3_000_000)).toEqual([413, 'request.too_large']);
});

test('a socket speaks for the credential of connection_init, each operation with an id of its own', async () => {
  const ids: unknown[] = [];
  for (const connectionParams of [{ authorization: 'Bearer good' }, {}]) {
    const client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      connectionParams,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
    for (let round = 0; round < 2; round++) {
      for await (const result of client.iterate({ query: '{ platform { version } }' })) {
        if (result.errors === undefined) expect(result.data).toEqual({ platform: { version: '0.1.0' } });
        else ids.push(result.errors[0]?.extensions?.code, result.errors[0]?.extensions?.requestId);
      }
    }
    await client.dispose();
  }
  expect([ids[0], ids[2]]).toEqual(['auth.required', 'auth.required']);
  expect(ids[1]).not.toBe(ids[3]);
  const wrong = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(wrong, 'open');
  wrong.send(JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer wrong' } }));
  expect(((await once(wrong, 'close')) as [number])[0]).toBe(4401);
});

test('a browser that opens / or /graphql sees a page without scripts, and other clients get GraphQL', async () => {
  for (const path of ['/', '/graphql']) {
    const page = await fetch(url + path, { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    const html = await page.text();
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(html).not.toMatch(/<script|javascript:|onload=/i);
    expect(html).toContain('curl');
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
  }
  expect((await fetch(`${url}/graphql?query={__typename}`, { headers: { accept: 'application/json' } })).status).toBe(200);
});

test('the page at / gives the address that the operator set, and nothing of the request is taken for markup', async () => {
  expect(await (await fetch(url)).text()).toContain('curl -s https://weir.example/graphql');
  const forged = await new Promise<string>((resolve, reject) => {
    const request = get(`${url}/graphql`, { headers: { host: 'x"><script>', accept: 'text/html' } }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += String(chunk))).on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
  expect(forged).not.toContain('<script>');
});

test("what is for the platform's own processes is not part of the graph, and no ordinary type is taken for a root", async () => {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer good' },
    body: JSON.stringify({ query: '{ __schema { subscriptionType { name } mutationType { fields { name } } types { name } } }' }),
  });
  const { data } = (await answer.json()) as {
    data: { __schema: { subscriptionType: unknown; mutationType: { fields: { name: string }[] }; types: { name: string }[] } };
  };
  const mutations = data.__schema.mutationType.fields.map(({ name }) => name);
  expect(mutations).toContain('createTenant');
  expect(mutations).not.toContain('bootstrapOperator');
  expect(data.__schema.types.filter(({ name }) => /bootstrap/i.test(name))).toEqual([]);
  expect(data.__schema.subscriptionType).toBeNull();
});

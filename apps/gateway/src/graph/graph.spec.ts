import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Args, Field, GraphQLModule, InputType, Mutation, ObjectType, Query, Resolver } from '@nestjs/graphql';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { INTERNAL_TOKEN_HEADER, InternalTokenSigner, InternalTokenVerifier } from '@weir/access';
import { GraphContext, GraphDriver, MoneyType, SCHEMA_OPTIONS, type GraphDriverOptions } from '@weir/platform/graphql';
import { createLogger } from '@weir/platform/telemetry';
import { aPrincipal, testSigningKeys } from '@weir/testing';
import { buildSchema, graphql, GraphQLError } from 'graphql';
import { auditServer } from 'graphql-http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { composeGraph } from './composition.ts';
import { SubgraphClient } from './subgraph-client.ts';

const logged: string[] = [];
const logger = createLogger({
  service: 'spec',
  instanceId: 'spec',
  level: 'debug',
  destination: { write: (line: string) => void logged.push(line) },
});

/** A service of another process: a schema behind a plain HTTP server. */
interface Stub {
  readonly sdl: string;
  readonly url: string;
  readonly seen: { headers: IncomingHttpHeaders; body: { query: string; variables: unknown } }[];
  /** Calls whose caller hung up before the answer. */
  abandoned: number;
  /** Takes the place of the answer, until it is set back to null. */
  behaviour: 'hang' | 'hang-optional' | 'huge' | 'html' | 'refuse' | null;
  stop(): Promise<void>;
  start(): Promise<void>;
}

async function aStub(sdl: string, rootValue: Record<string, unknown>): Promise<Stub> {
  const schema = buildSchema(sdl);
  const server: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += String(chunk)));
    request.on('end', () => {
      const body = JSON.parse(text) as { query: string; variables: Record<string, unknown> };
      stub.seen.push({ headers: request.headers, body });
      response.once('close', () => {
        if (!response.writableEnded) stub.abandoned += 1;
      });
      if (stub.behaviour === 'hang' || (stub.behaviour === 'hang-optional' && body.query.includes('optional'))) return;
      if (stub.behaviour === 'huge') return void response.end(JSON.stringify({ data: { text: 'x'.repeat(50_000) } }));
      if (stub.behaviour === 'html') return void response.end('<html>');
      if (stub.behaviour === 'refuse') return void response.writeHead(401).end('{"error":{"code":"auth.internal_token"}}');
      void graphql({ schema, source: body.query, variableValues: body.variables, rootValue }).then((result) =>
        response.setHeader('content-type', 'application/json').end(JSON.stringify(result)),
      );
    });
  });
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const stub: Stub = {
    sdl,
    url: `http://127.0.0.1:${port}`,
    seen: [],
    abandoned: 0,
    behaviour: null,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    start: () => listen(port),
  };
  return stub;
}

const AUTH_SDL = `
  scalar DateTime
  type Key { id: ID! madeAt: DateTime! }
  input Which @oneOf { id: ID name: String }
  type Query { which(which: Which!): String keys: [Key!]! key(id: ID!): Key optional: String }
  input MakeKey { name: String! }
  type Mutation { makeKey(input: MakeKey!): Key! }
`;
const SHOP_SDL = `
  type Money { amount: String! currency: String! }
  type Query { price: Money! huge: String }
`;

@InputType({ isOneOf: true })
class Choice {
  @Field(() => String, { nullable: true })
  text?: string;
  @Field(() => String, { nullable: true })
  image?: string;
}

@ObjectType()
class Answer {
  @Field(() => String)
  text!: string;
  @Field(() => MoneyType)
  cost!: MoneyType;
}

@Resolver()
class LocalResolver {
  @Query(() => String)
  hello(): string {
    return 'hello';
  }
  @Mutation(() => Answer)
  run(@Args('choice', { type: () => Choice }) choice: Choice): Answer {
    return { text: choice.text ?? 'none', cost: { amount: '1', currency: 'EUR' } };
  }
}

let auth: Stub;
let shop: Stub;
let app: NestFastifyApplication;
let url: string;
let verifier: InternalTokenVerifier;
const clients: SubgraphClient[] = [];

beforeAll(async () => {
  auth = await aStub(AUTH_SDL, {
    keys: [{ id: 'k1', madeAt: '2026-03-01T00:00:00.000Z' }],
    key: ({ id }: { id: string }) => {
      throw new GraphQLError(`There is no such API key.`, {
        extensions: { code: 'api_key.not_found', kind: 'not_found', requestId: 'other', field: `input.${id.length}` },
      });
    },
    makeKey: ({ input }: { input: { name: string } }) => ({ id: input.name, madeAt: '2026-03-01T00:00:00.000Z' }),
    optional: () => {
      throw new Error('the secret password is hunter2');
    },
  });
  shop = await aStub(SHOP_SDL, { price: { amount: '2.50', currency: 'EUR' } });
  const keys = await testSigningKeys();
  verifier = new InternalTokenVerifier('auth', keys.keySet);
  const signer = new InternalTokenSigner(keys.keyOf('gateway'));
  const subgraph = (service: string, stub: Stub) => {
    const client = new SubgraphClient({ service, url: stub.url, signer, logger, timeoutMs: 600, maxAnswerBytes: 20_000 });
    clients.push(client);
    return { service, sdl: stub.sdl, executor: client.execute.bind(client) };
  };
  @Module({
    imports: [
      GraphQLModule.forRoot<GraphDriverOptions>({
        driver: GraphDriver,
        autoSchemaFile: true,
        path: '/graphql',
        logger,
        buildSchemaOptions: SCHEMA_OPTIONS,
        transformSchema: (local) => composeGraph([subgraph('auth', auth), subgraph('shop', shop)], local),
        authenticate: (request) => ({
          requestId: 'request-1',
          principal: request.headers.authorization === undefined ? undefined : aPrincipal({ tenantId: request.headers.authorization }),
        }),
        createContext: (caller, origin) => new GraphContext(caller, origin),
      }),
    ],
    providers: [LocalResolver],
  })
  class SpecModule {}
  app = await NestFactory.create<NestFastifyApplication>(SpecModule, new FastifyAdapter({ forceCloseConnections: true }), {
    logger: false,
  });
  await app.listen(0, '127.0.0.1');
  url = `${await app.getUrl()}/graphql`;
});
beforeEach(() => {
  auth.seen.length = 0;
  shop.seen.length = 0;
  logged.length = 0;
});
afterAll(async () => {
  await app.close();
  await Promise.all([...clients.map((client) => client.close()), auth.stop(), shop.stop()]);
});

interface GraphAnswer {
  data?: Record<string, unknown> | null;
  errors?: { message: string; path: unknown; extensions: Record<string, unknown> }[];
}

async function ask(
  query: string,
  options: { variables?: Record<string, unknown>; tenant?: string | null; signal?: AbortSignal } = {},
): Promise<GraphAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(options.tenant === null ? {} : { authorization: options.tenant ?? 'acme' }) },
    body: JSON.stringify({ query, variables: options.variables }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return (await response.json()) as GraphAnswer;
}

describe('the graph of the platform', () => {
  test('passes every audit of GraphQL over HTTP', async () => {
    const asAcme: typeof fetch = (to, init) =>
      fetch(to, { ...init, headers: { ...(init?.headers as Record<string, string>), authorization: 'acme' } });
    const results = await auditServer({ url, fetchFn: asAcme });
    expect(results.filter((result) => result.status !== 'ok').map((result) => result.name)).toEqual([]);
  });

  test('answers fields of several services and its own in one document', async () => {
    for (let round = 0; round < 3; round++) {
      expect(await ask('{ hello keys { id madeAt } price { amount } }')).toEqual({
        data: { hello: 'hello', keys: [{ id: 'k1', madeAt: '2026-03-01T00:00:00.000Z' }], price: { amount: '2.50' } },
      });
      expect(await ask('mutation($i: MakeKey!) { makeKey(input: $i) { id } }', { variables: { i: { name: 'new' } } })).toEqual({
        data: { makeKey: { id: 'new' } },
      });
    }
  });

  test('answers fields of a service under aliases, below its root field too', async () => {
    expect(await ask('{ all: keys { key: id } price { value: amount } }')).toMatchObject({
      data: { all: [{ key: 'k1' }], price: { value: '2.50' } },
    });
  });

  test('asks a service in the name of whoever asks, with the id of the request, and of no tenant but theirs', async () => {
    for (const tenant of ['acme', 'globex']) await ask('{ keys { id } }', { tenant });
    const principals = await Promise.all(
      auth.seen.map(async ({ headers }) => (await verifier.verify(headers[INTERNAL_TOKEN_HEADER] as string)).principal.tenantId),
    );
    expect(principals).toEqual(['acme', 'globex']);
    expect(auth.seen[0]?.headers['x-request-id']).toBe('request-1');
    expect(auth.seen[0]?.headers).not.toHaveProperty('authorization');
    await expect(
      new InternalTokenVerifier('billing', { keys: [] }).verify(auth.seen[0]?.headers[INTERNAL_TOKEN_HEADER] as string),
    ).rejects.toMatchObject({ code: 'auth.internal_token' });
  });

  test('an error of a service keeps its code, field and path, and has the id of this request', async () => {
    const { errors, data } = await ask('{ hello mine: key(id: "abc") { id } }');
    expect(data).toEqual({ hello: 'hello', mine: null });
    expect(errors).toMatchObject([
      {
        message: 'There is no such API key.',
        path: ['mine'],
        extensions: { code: 'api_key.not_found', kind: 'not_found', field: 'input.3', requestId: 'request-1' },
      },
    ]);
  });

  test('an error that a service does not explain tells nothing', async () => {
    const answer = await ask('{ optional }');
    expect(answer.errors?.[0]?.extensions.code).toBe('internal.error');
    expect(JSON.stringify(answer)).not.toMatch(/hunter2|stack/);
  });

  test('without a credential no service is asked', async () => {
    expect(await ask('{ __typename }', { tenant: null })).toEqual({ data: { __typename: 'Query' } });
    expect((await ask('{ keys { id } }', { tenant: null })).errors?.[0]?.extensions.code).toBe('auth.required');
    expect(auth.seen).toEqual([]);
  });

  test('oneOf inputs keep their rule in the whole graph', async () => {
    const query = 'mutation($c: Choice!) { run(choice: $c) { text cost { amount } } }';
    for (let round = 0; round < 3; round++) {
      expect((await ask(query, { variables: { c: { text: 'a' } } })).data).toEqual({ run: { text: 'a', cost: { amount: '1' } } });
      expect((await ask(query, { variables: { c: { text: 'a', image: 'b' } } })).errors?.[0]?.extensions.code).toBe('graphql.invalid');
    }
    expect((await ask('mutation { run(choice: { text: "a", image: "b" }) { text } }')).errors?.[0]?.extensions.code).toBe(
      'graphql.invalid',
    );
    for (const name of ['Choice', 'Which'])
      expect(await ask(`{ __type(name: "${name}") { isOneOf } }`)).toEqual({ data: { __type: { isOneOf: true } } });
  });
});

describe('a service that is down', () => {
  const failsAlone = async (): Promise<void> => {
    const { data, errors } = await ask('{ hello price { amount } optionalKey: key(id: "x") { id } }').catch(() => ({
      data: undefined,
      errors: undefined,
    }));
    expect(data).toBeDefined();
    expect(errors?.find((error) => JSON.stringify(error.path) === '["optionalKey"]')?.extensions).toMatchObject({
      code: 'service.unavailable',
      kind: 'unavailable',
      retryAfterMs: 1000,
      requestId: 'request-1',
    });
    expect(data).toMatchObject({ hello: 'hello', price: { amount: '2.50' } });
  };

  test('fails its own fields, the others work, and it heals by itself', async () => {
    await auth.stop();
    await failsAlone();
    await failsAlone();
    await auth.start();
    expect((await ask('{ keys { id } }')).data).toEqual({ keys: [{ id: 'k1' }] });
  });

  test.each(['hang', 'html', 'refuse'] as const)('(it would %s) is the same as one that is down', async (behaviour) => {
    auth.behaviour = behaviour;
    await failsAlone();
    auth.behaviour = null;
    expect((await ask('{ keys { id } }')).errors).toBeUndefined();
  });

  test('an answer that is too large is not read', async () => {
    shop.behaviour = 'huge';
    expect((await ask('{ huge }')).errors?.[0]?.extensions.code).toBe('service.unavailable');
    shop.behaviour = null;
  });

  test('what went wrong is logged with the id of the request, never told', async () => {
    auth.behaviour = 'html';
    const answer = await ask('{ keys { id } }');
    auth.behaviour = null;
    expect(JSON.stringify(answer)).not.toMatch(/html|JSON|127\.0\.0\.1/);
    expect(logged.join('')).toContain('request-1');
    expect(logged.join('')).not.toContain(String(auth.seen[0]?.headers[INTERNAL_TOKEN_HEADER]));
  });
});

test('a tenant whose requests take all that it may have of a service delays no other tenant', async () => {
  auth.behaviour = 'hang-optional';
  const before = auth.abandoned;
  const flood = Array.from({ length: 100 }, () => ask('{ optional }', { tenant: 'aggressor' }));
  // No more than the share of one tenant, whatever waits.
  await expect.poll(() => auth.seen.length).toBeGreaterThan(0);
  expect((await ask('{ keys { id } }', { tenant: 'victim' })).data).toEqual({ keys: [{ id: 'k1' }] });
  const codes = (await Promise.all(flood)).map(({ errors }) => errors?.[0]?.extensions.code);
  const asked = auth.seen.filter(({ body }) => body.query.includes('optional')).length;
  expect(asked).toBeLessThanOrEqual(4);
  await expect.poll(() => auth.abandoned).toBe(before + asked);
  auth.behaviour = null;
  expect(new Set(codes)).toEqual(new Set(['service.unavailable', 'limit.in_flight']));
});

test('a client that leaves ends the call to the service', async () => {
  auth.behaviour = 'hang';
  const before = auth.abandoned;
  const leave = new AbortController();
  const asked = ask('{ keys { id } }', { signal: leave.signal }).catch(() => null);
  await expect.poll(() => auth.seen.length).toBe(1);
  leave.abort();
  await asked;
  // Well before the time that the service has to answer.
  await expect.poll(() => auth.abandoned, { timeout: 250, interval: 10 }).toBe(before + 1);
  auth.behaviour = null;
  expect(logged.join('')).not.toContain('service.unavailable');
});

test('two parts that define the same thing differently do not become a graph', () => {
  const executor = () => ({});
  const local = buildSchema('type Query { hello: String }');
  const part = (service: string, sdl: string) => ({ service, sdl, executor });
  expect(() => composeGraph([part('auth', 'type Query { hello: String }')], local)).toThrow(
    'Query.hello is defined by auth and by gateway',
  );
  expect(() =>
    composeGraph(
      [part('auth', 'type Key { id: ID! } type Query { key: Key }'), part('shop', 'type Key { name: String } type Query { lock: Key }')],
      local,
    ),
  ).toThrow('Key is defined by auth and by shop');
  expect(() =>
    composeGraph(
      [part('auth', 'input A { a: Int } type Query { a(a: A): Int }'), part('shop', 'input A { a: Int } type Query { b(a: A): Int }')],
      local,
    ),
  ).toThrow('A is defined');
});

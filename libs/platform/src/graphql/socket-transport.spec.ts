import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Args, Context, GraphQLModule, Int, Query, Resolver, Subscription } from '@nestjs/graphql';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppError } from '@weir/kernel';
import { createClient, type Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createLogger } from '../telemetry/index.ts';
import type { GraphContext } from './graph-context.ts';
import { GraphDriver, type GraphDriverOptions } from './graph-driver.ts';

const keys = new Set(['good', 'other1', 'other2', 'other3', 'third1', 'third2']);
const ended: string[] = [];
const aborted: string[] = [];

@Resolver()
class TicksResolver {
  @Query(() => String)
  who(@Context() context: GraphContext): string {
    return context.principal?.id ?? 'nobody';
  }

  @Query(() => String)
  async slow(@Context() context: GraphContext): Promise<string> {
    await delay(5_000, undefined, { signal: context.signal }).catch(() => aborted.push('slow'));
    return 'late';
  }

  @Subscription(() => Int)
  async *ticks(@Args('until', { type: () => Int }) until: number): AsyncGenerator<{ ticks: number }> {
    try {
      for (let i = 0; i < until; i++) {
        yield { ticks: i };
        await delay(5);
      }
    } finally {
      ended.push('ticks');
    }
  }

  @Subscription(() => Int)
  broken(): AsyncGenerator<{ broken: number }> {
    throw new TypeError('the secret password is hunter2');
  }

  @Subscription(() => Int)
  async *breaks(): AsyncGenerator<{ breaks: number }> {
    yield { breaks: 1 };
    throw new TypeError('the secret password is hunter2');
  }
}

@Module({
  imports: [
    GraphQLModule.forRoot<GraphDriverOptions>({
      driver: GraphDriver,
      autoSchemaFile: true,
      path: '/graphql',
      logger: createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }),
      limits: { maxBodyBytes: 5_000, maxDepth: 3, maxAliases: 3 },
      socketLimits: {
        initTimeoutMs: 300,
        maxOperationsPerSocket: 3,
        recheckIntervalMs: 50,
        maxSockets: 7,
        maxSocketsPerTenant: 2,
        maxAnonymousSocketsPerAddress: 4,
        anonymousTimeoutMs: 2_000,
        maxAnonymousBytes: 4_000,
        pingIntervalMs: 100,
      },
      authenticate: () => ({ requestId: 'http', principal: undefined }),
      authenticateSocket: ({ params }) => {
        const key = params.apiKey;
        if (key === undefined) return { requestId: 'socket-1', principal: undefined };
        if (typeof key !== 'string' || !keys.has(key)) throw new AppError('auth.invalid');
        return { requestId: 'socket-1', principal: { kind: 'api-key', id: key, tenantId: key.replace(/\d$/, ''), scopes: new Set() } };
      },
    }),
  ],
  providers: [TicksResolver],
})
class SpecModule {}

let app: NestFastifyApplication;
let url: string;
const clients: Client[] = [];
const sockets: WebSocket[] = [];

beforeAll(async () => {
  app = await NestFactory.create<NestFastifyApplication>(SpecModule, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  url = `${(await app.getUrl()).replace('http', 'ws')}/graphql`;
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
  for (const socket of sockets.splice(0)) socket.terminate();
  await delay(20);
});
afterAll(() => app.close());

function connect(connectionParams: Record<string, unknown> = {}): Client {
  const client = createClient({
    url,
    connectionParams,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: true,
    onNonLazyError: () => undefined,
  });
  clients.push(client);
  return client;
}

async function run(client: Client, query: string, variables?: Record<string, unknown>): Promise<unknown[]> {
  const results: unknown[] = [];
  for await (const result of client.iterate({ query, variables: variables ?? null })) results.push(result);
  return results;
}

function raw(protocol = 'graphql-transport-ws'): WebSocket {
  const socket = new WebSocket(url, protocol);
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** Waits until the socket is acknowledged. */
async function initialised(socket: WebSocket, payload: Record<string, unknown>): Promise<void> {
  await once(socket, 'open');
  const acknowledged = once(socket, 'message') as Promise<[Buffer]>;
  socket.send(JSON.stringify({ type: 'connection_init', payload }));
  expect(String((await acknowledged)[0])).toBe('{"type":"connection_ack"}');
}

test('the credential of connection_init speaks for every operation of the socket', async () => {
  const client = connect({ apiKey: 'good' });
  expect(await run(client, '{ who }')).toEqual([{ data: { who: 'good' } }]);
  expect(await run(client, 'subscription { ticks(until: 3) }')).toEqual([
    { data: { ticks: 0 } },
    { data: { ticks: 1 } },
    { data: { ticks: 2 } },
  ]);
  expect(await run(connect(), '{ who }')).toEqual([{ data: { who: 'nobody' } }]);
});

test('a wrong credential closes the socket with 4401', async () => {
  await expect(run(connect({ apiKey: 'wrong' }), '{ who }')).rejects.toMatchObject({ code: 4401, reason: 'auth.invalid' });
});

test('a credential that is revoked ends its subscriptions and its socket', async () => {
  keys.add('brief');
  const client = connect({ apiKey: 'brief' });
  const reading = run(client, 'subscription { ticks(until: 100000) }');
  setTimeout(() => keys.delete('brief'), 100);
  const before = ended.length;
  await expect(reading).rejects.toMatchObject({ code: 4401 });
  await expect.poll(() => ended.length).toBe(before + 1);
});

test('the limits of documents hold on sockets, with the same codes', async () => {
  const client = connect();
  for (const [query, code] of [
    ['{ a: who b: who c: who d: who }', 'graphql.too_complex'],
    ['{ whoo }', 'graphql.invalid'],
    ['{', 'graphql.invalid'],
  ] as const) {
    const failure = await run(client, query).catch((error: unknown) => error);
    expect(failure).toMatchObject([{ extensions: { code, requestId: 'socket-1' } }]);
    expect(JSON.stringify(failure)).not.toContain('Did you mean');
  }
  expect(
    await run(client, 'subscription($n: Int!) { ticks(until: $n) }', { n: 'hunter2' }).catch((error: unknown) => JSON.stringify(error)),
  ).not.toContain('hunter2');
});

test('an error that nobody foresaw tells nothing, at the start or in the middle of a subscription', async () => {
  for (const field of ['broken', 'breaks']) {
    const told = JSON.stringify(await run(connect(), `subscription { ${field} }`).catch((error: unknown) => error));
    expect(told).toContain('internal.error');
    expect(told).not.toMatch(/hunter2|TypeError|stack/);
  }
});

test('a socket that says nothing is closed with 4408', async () => {
  const [code] = (await once(raw(), 'close')) as [number];
  expect(code).toBe(4408);
});

test('another sub-protocol is not spoken', async () => {
  const socket = raw('graphql-ws');
  const code = await new Promise<number>((resolve) => socket.once('close', resolve));
  expect([1006, 4406]).toContain(code);
});

test('a message that is too large closes the socket with 1009', async () => {
  const socket = raw();
  await initialised(socket, { apiKey: 'good' });
  socket.send(JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(6_000) } }));
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1009);
});

test('a message that nests thousands of levels closes the socket before it is parsed', async () => {
  const socket = raw();
  await initialised(socket, { apiKey: 'good' });
  socket.send(`{"type":"ping","payload":{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}}`);
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  expect([code, String(reason)]).toEqual([4400, 'request.invalid']);
});

test('a socket without a caller is closed with 4401, one with a caller stays', async () => {
  const [anonymous, known] = [raw(), raw()];
  await Promise.all([initialised(anonymous, {}), initialised(known, { apiKey: 'good' })]);
  const [code, reason] = (await once(anonymous, 'close')) as [number, Buffer];
  expect([code, String(reason)]).toEqual([4401, 'auth.required']);
  expect(known.readyState).toBe(known.OPEN);
});

test('a socket that sends much before its caller is known is cut off', async () => {
  const socket = raw();
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { text: 'x'.repeat(4_500) } }));
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1006);
});

test('sockets without a caller, however many, cost no caller with a key its socket', async () => {
  const known = raw();
  await initialised(known, { apiKey: 'good' });
  for (let i = 0; i < 100; i++) await once(raw(), 'open');
  const late = raw();
  await initialised(late, { apiKey: 'other1' });
  expect([known.readyState, late.readyState]).toEqual([known.OPEN, late.OPEN]);
  expect(sockets.filter((socket) => socket.readyState === socket.OPEN).length).toBeLessThanOrEqual(2 + 4);
});

test('a tenant has no more sockets than its own share, and another still gets one', async () => {
  await Promise.all(['other1', 'other2'].map((apiKey) => initialised(raw(), { apiKey })));
  const third = raw();
  await once(third, 'open');
  third.send(JSON.stringify({ type: 'connection_init', payload: { apiKey: 'other3' } }));
  const [code, reason] = (await once(third, 'close')) as [number, Buffer];
  expect([code, String(reason)]).toEqual([4429, 'limit.in_flight']);
  await initialised(raw(), { apiKey: 'good' });
});

test('more operations than a socket may have under way are refused, the others go on', async () => {
  const client = connect();
  const many = Array.from({ length: 3 }, () => run(client, 'subscription { ticks(until: 20) }'));
  const refused = await run(client, 'subscription { ticks(until: 20) }').catch((error: unknown) => error);
  expect(refused).toMatchObject([{ extensions: { code: 'limit.in_flight' } }]);
  for (const results of await Promise.all(many)) expect(results).toHaveLength(20);
});

test('more sockets than the process takes are refused at the handshake', async () => {
  await Promise.all(['other1', 'other2', 'third1', 'third2', 'good'].map((apiKey) => initialised(raw(), { apiKey })));
  await Promise.all([raw(), raw()].map((socket) => once(socket, 'open')));
  const late = raw();
  const [, response] = (await once(late, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(503);
});

test('a client that leaves ends its subscriptions and aborts what runs for it', async () => {
  const socket = raw();
  await once(socket, 'open');
  const before = ended.length;
  socket.send(JSON.stringify({ type: 'connection_init' }));
  await once(socket, 'message');
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: 'subscription { ticks(until: 100000) }' } }));
  socket.send(JSON.stringify({ id: '2', type: 'subscribe', payload: { query: '{ slow }' } }));
  await once(socket, 'message');
  await delay(50);
  socket.terminate();
  await expect.poll(() => ended.length).toBe(before + 1);
  await expect.poll(() => aborted).toEqual(['slow']);
});

test('a client that does not answer pings is cut off', async () => {
  const socket = new WebSocket(url, 'graphql-transport-ws', { autoPong: false });
  sockets.push(socket);
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init' }));
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1006);
});

test('other addresses have no sockets', async () => {
  const socket = new WebSocket(url.replace('/graphql', '/other'), 'graphql-transport-ws');
  sockets.push(socket);
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(404);
});

test('a process that stops says so to its sockets, and stops', async () => {
  const other = await NestFactory.create<NestFastifyApplication>(SpecModule, new FastifyAdapter(), { logger: false });
  await other.listen(0, '127.0.0.1');
  const socket = new WebSocket(`${(await other.getUrl()).replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open');
  const closed = once(socket, 'close') as Promise<[number, Buffer]>;
  await other.close();
  const [code, reason] = await closed;
  expect([code, String(reason)]).toEqual([1001, 'service.stopping']);
});

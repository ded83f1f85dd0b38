import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Principal } from '@weir/access';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createLogger } from '../telemetry/index.ts';
import { FairSemaphore } from './fair-semaphore.ts';
import { GraphDriver, type GraphDriverOptions } from './graph-driver.ts';

let started = Promise.withResolvers<void>();
let finish = Promise.withResolvers<string>();

@Resolver()
class SlowResolver {
  @Query(() => String)
  slow(): Promise<string> {
    started.resolve();
    return finish.promise;
  }

  @Query(() => String)
  broken(): string {
    throw new Error('unforeseen');
  }
}

const semaphore = new FairSemaphore({ permits: 2, permitsPerKey: 1, waitingPerKey: 0, refusal: 'One at a time.' });
const principal: Principal = { kind: 'person', id: 'ann', tenantId: 'acme', scopes: new Set() };

@Module({
  imports: [
    GraphQLModule.forRoot<GraphDriverOptions>({
      driver: GraphDriver,
      autoSchemaFile: true,
      path: '/graphql',
      logger: createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }),
      admitOperation: (_, context) =>
        semaphore.acquire(context.principal?.tenantId ?? '', { timeoutMs: 1_000, signal: () => context.signal }),
      authenticate: () => ({ requestId: 'request-1', principal }),
      authenticateSocket: () => ({ requestId: 'request-1', principal }),
    }),
  ],
  providers: [SlowResolver],
})
class SpecModule {}

let app: NestFastifyApplication;
let url: string;

beforeAll(async () => {
  app = await NestFactory.create<NestFastifyApplication>(SpecModule, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  url = `${await app.getUrl()}/graphql`;
});
afterAll(() => app.close());

const ask = (query: string, accept = 'application/json'): Promise<Response> =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', accept }, body: JSON.stringify({ query }) });

test('an operation above the limit is 429 with a time to wait, for clients of any age, and runs once another ended', async () => {
  const first = ask('{ slow }');
  await started.promise;
  for (const accept of ['application/json', 'application/graphql-response+json']) {
    const refused = await ask('{ slow }', accept);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({
      errors: [{ message: 'One at a time.', extensions: { code: 'limit.in_flight', requestId: 'request-1', retryAfterMs: 1_000 } }],
    });
  }
  finish.resolve('done');
  expect(await (await first).json()).toEqual({ data: { slow: 'done' } });
  expect(await (await ask('{ slow }')).json()).toEqual({ data: { slow: 'done' } });
});

test('operations on sockets count as well', async () => {
  [started, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
  const first = ask('{ slow }');
  await started.promise;
  const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0 });
  const refused = await client.iterate({ query: '{ slow }' }).next();
  expect(refused.value).toMatchObject({ errors: [{ extensions: { code: 'limit.in_flight' } }] });
  finish.resolve('done');
  await first;
  expect((await client.iterate({ query: '{ slow }' }).next()).value).toEqual({ data: { slow: 'done' } });
  await client.dispose();
});

test('an operation that fails releases its permit', async () => {
  for (let i = 0; i < 3; i++) expect(await (await ask('{ broken }')).text()).toContain('internal.error');
});

import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Args, Field, ObjectType, Query, Resolver } from '@nestjs/graphql';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Principal } from '@weir/access';
import type { FastifyInstance } from 'fastify';
import { expect, test } from 'vitest';
import { CurrentPrincipal, setRequestContext } from '../http/index.ts';
import { LOGGER } from '../service/tokens.ts';
import { createLogger } from '../telemetry/index.ts';
import { connectionOf, PageArgs, pageOf, pageRequest } from './connection.ts';
import { MoneyType } from './money.ts';
import { DateTime, JsonScalar } from './scalars.ts';
import { SubgraphModule } from './subgraph.module.ts';
import { printSubgraph } from './subgraph-sdl.ts';

@ObjectType({ description: 'A thing.' })
class Thing {
  @Field(() => String)
  id!: string;
  @Field(() => MoneyType)
  price!: MoneyType;
  @Field(() => DateTime)
  madeAt!: Date;
  @Field(() => JsonScalar, { nullable: true })
  notes!: unknown;
}

@ObjectType()
class ThingConnection extends connectionOf(Thing, 'Thing') {}

const THINGS = Array.from({ length: 45 }, (_, i) => ({
  id: `t${String(i).padStart(2, '0')}`,
  price: { amount: '1.50', currency: 'EUR' },
  madeAt: new Date(0),
  notes: { i },
}));

@Resolver(() => Thing)
class ThingsResolver {
  @Query(() => ThingConnection)
  things(@Args() args: PageArgs): ThingConnection {
    const page = pageRequest(args);
    const rows = THINGS.filter((thing) => page.after === null || thing.id > (page.after[0] ?? '')).slice(0, page.take);
    return pageOf(rows, page, (thing) => thing.id) as ThingConnection;
  }

  @Query(() => String)
  me(@CurrentPrincipal() principal: Principal): string {
    return principal.id;
  }
}

@Global()
@Module({
  providers: [{ provide: LOGGER, useValue: createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }) }],
  exports: [LOGGER],
})
class PartsModule {}

@Module({ imports: [PartsModule, SubgraphModule.forService({ service: 'spec' })], providers: [ThingsResolver] })
class SpecModule {}

test('the SDL of resolvers holds their types, descriptions and the shared scalars', async () => {
  const sdl = await printSubgraph([ThingsResolver]);
  expect(sdl).toContain('"""A thing."""\ntype Thing {');
  expect(sdl).toContain('things(');
  expect(sdl).toContain('first: Int = 20');
  expect(sdl).toContain('madeAt: DateTime!');
  expect(sdl).toContain('price: Money!');
  expect(sdl).toContain('type ThingEdge {');
  expect(await printSubgraph([ThingsResolver])).toBe(sdl);
});

test('a service serves its resolvers to the principal of the internal token, page by page', async () => {
  const app = await NestFactory.create(SpecModule, new FastifyAdapter(), { logger: false });
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, _reply, done) => {
    const principal: Principal = { kind: 'person', id: 'ann', tenantId: 'acme', scopes: new Set() };
    setRequestContext(request, {
      requestId: 'r-12345678',
      principal: request.headers['x-test'] === 'none' ? undefined : principal,
      caller: 'gateway',
    });
    done();
  });
  await app.listen(0, '127.0.0.1');
  const ask = async (query: string, headers: Record<string, string> = {}) =>
    (await (
      await fetch(`${await app.getUrl()}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query }),
      })
    ).json()) as { data: { me: string; things: ThingConnection }; errors?: { extensions: { code: string; requestId: string } }[] };
  try {
    expect((await ask('{ me }')).data.me).toBe('ann');
    expect((await ask('{ me }', { 'x-test': 'none' })).errors?.[0]?.extensions).toMatchObject({
      code: 'auth.required',
      requestId: 'r-12345678',
    });
    const seen: string[] = [];
    let after = '';
    for (let page = 0; page < 3; page++) {
      const { things } = (
        await ask(`{ things(first: 20${after}) { nodes { id madeAt } pageInfo { hasNextPage hasPreviousPage endCursor } } }`)
      ).data;
      seen.push(...things.nodes.map((thing) => thing.id));
      expect(things.nodes[0]?.madeAt).toBe('1970-01-01T00:00:00.000Z');
      expect(things.pageInfo).toMatchObject({ hasNextPage: page < 2, hasPreviousPage: page > 0 });
      after = `, after: "${things.pageInfo.endCursor}"`;
    }
    expect(seen).toEqual(THINGS.map((thing) => thing.id));
    expect((await ask('{ things(after: "nonsense") { nodes { id } } }')).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'after',
    });
  } finally {
    await app.close();
  }
});

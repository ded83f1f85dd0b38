import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Args, Field, GraphQLModule, ObjectType, Query, Resolver } from '@nestjs/graphql';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
  type IntrospectionQuery,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../telemetry/index.ts';
import { GraphDriver, type GraphDriverOptions } from './graph-driver.ts';

@ObjectType()
class Part {
  @Field(() => String)
  name!: string;
}

@Resolver(() => Part)
class PartsResolver {
  @Query(() => Part)
  part(): Part {
    return { name: 'a' };
  }

  @Query(() => String)
  hello(@Args('name', { type: () => String, nullable: true }) name?: string): string {
    return `hello ${name ?? 'you'}`;
  }
}

@Module({
  imports: [
    GraphQLModule.forRoot<GraphDriverOptions>({
      driver: GraphDriver,
      autoSchemaFile: true,
      path: '/graphql',
      logger: createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }),
      limits: { maxBodyBytes: 40_000, maxDocumentCharacters: 8_000 },
      schemaFilePath: '/schema.graphql',
      authenticate: ({ headers }) => ({
        requestId: 'request-1',
        principal: headers.authorization === undefined ? undefined : { kind: 'person', id: 'ann', tenantId: 'acme', scopes: new Set() },
      }),
    }),
  ],
  providers: [PartsResolver],
})
class SpecModule {}

const AS_ANN = { authorization: 'Bearer good' };
let app: NestFastifyApplication;
let url: string;

beforeAll(async () => {
  app = await NestFactory.create<NestFastifyApplication>(SpecModule, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  url = `${await app.getUrl()}/graphql`;
});
afterAll(() => app.close());

async function ask(body: { query: string; variables?: unknown; operationName?: string }, headers: Record<string, string>) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return {
    status: response.status,
    body: (await response.json()) as { data?: unknown; errors?: { message: string; extensions: { code: string } }[] },
  };
}

describe('introspection', () => {
  const codeOf = async (query: string, headers: Record<string, string> = AS_ANN): Promise<unknown> => {
    const { body } = await ask({ query }, headers);
    return body.errors?.[0]?.extensions.code ?? 'answered';
  };

  test('is for callers with a credential: without one it is refused with 401', async () => {
    expect(await codeOf('{ __schema { queryType { name } } }')).toBe('answered');
    for (const query of [
      '{ __schema { queryType { name } } }',
      '{ ...A } fragment A on Query { ... { x: __type(name: "Query") { name } } }',
    ]) {
      for (const accept of ['application/json', 'application/graphql-response+json']) {
        const { status, body } = await ask({ query }, { accept });
        expect([status, body.errors?.[0]?.extensions.code]).toEqual([401, 'auth.required']);
      }
    }
  });

  test('of a document is at most one, by whatever name, fragment or operation it is asked', async () => {
    for (const query of [
      '{ a: __schema { queryType { name } } b: __schema { queryType { name } } }',
      '{ __schema { queryType { name } } __type(name: "Query") { name } }',
      '{ ...A ...B } fragment A on Query { a: __schema { queryType { name } } } fragment B on Query { b: __schema { queryType { name } } }',
      '{ ... { a: __type(name: "Part") { name } } ... { b: __type(name: "Part") { name } } }',
    ])
      expect([query, await codeOf(query)]).toEqual([query, 'graphql.too_complex']);
    const { body } = await ask(
      { query: 'query A { __schema { queryType { name } } } query B { __schema { queryType { name } } }', operationName: 'A' },
      AS_ANN,
    );
    expect(body.errors?.[0]?.extensions.code).toBe('graphql.too_complex');
  });
});

describe('the schema as a file', () => {
  const file = (headers: Record<string, string> = {}): Promise<Response> =>
    fetch(url.replace('/graphql', '/schema.graphql'), { headers: { 'accept-encoding': 'identity', ...headers } });

  test('needs no credential and is the schema that is served', async () => {
    const answer = await file();
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/graphql; charset=utf-8']);
    const schema = buildSchema(await answer.text());
    const { data } = (await ask({ query: getIntrospectionQuery() }, AS_ANN)).body as { data: IntrospectionQuery };
    expect(printSchema(lexicographicSortSchema(schema))).toBe(printSchema(lexicographicSortSchema(buildClientSchema(data))));
  });

  test('is compressed where the client takes it, and is not sent again to who has it', async () => {
    const [plain, packed] = [await file(), await file({ 'accept-encoding': 'br, gzip' })];
    expect([packed.headers.get('content-encoding'), packed.headers.get('vary')]).toEqual(['gzip', 'accept-encoding']);
    expect(await packed.text()).toBe(await plain.text());
    for (const [known, acceptEncoding] of [
      [plain, 'identity'],
      [packed, 'gzip'],
    ] as const) {
      const etag = known.headers.get('etag') as string;
      expect((await file({ 'if-none-match': `"other", W/${etag}`, 'accept-encoding': acceptEncoding })).status).toBe(304);
    }
    expect((await file({ 'if-none-match': '"other"' })).status).toBe(200);
    expect((await file({ 'accept-encoding': 'gzip;q=0' })).headers.get('content-encoding')).toBeNull();
  });
});

test('JSON that nests thousands of levels is refused before it is parsed', async () => {
  const nested = `${'['.repeat(8_000)}${']'.repeat(8_000)}`;
  for (const variables of [nested, `{"a":"]]]]\\"","b":${nested}}`]) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"query":"{ __typename }","variables":${variables}}`,
    });
    const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] };
    expect([response.status, errors[0]?.extensions.code, errors[0]?.message]).toEqual([
      400,
      'request.invalid',
      'JSON may nest 64 levels deep.',
    ]);
  }
});

test('a document that is too long is refused before it is read, a long variable is not', async () => {
  const long = 'x'.repeat(9_000);
  expect((await ask({ query: `{ hello(name: "${long}") } {{{` }, {})).body.errors?.[0]?.extensions.code).toBe('graphql.too_complex');
  expect((await ask({ query: 'query ($name: String) { hello(name: $name) }', variables: { name: long } }, {})).body.data).toEqual({
    hello: `hello ${long}`,
  });
});

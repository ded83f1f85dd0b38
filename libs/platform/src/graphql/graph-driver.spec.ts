import { setTimeout as delay } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Args,
  Context,
  Field,
  Float,
  GraphQLModule,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Query,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppError } from '@weir/kernel';
import { auditServer } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../telemetry/index.ts';
import type { GraphContext } from './graph-context.ts';
import { GraphDriver, type GraphDriverOptions } from './graph-driver.ts';
import { PageArgs, pageRequest } from './connection.ts';
import { JsonScalar } from './scalars.ts';

@ObjectType()
class Part {
  @Field(() => String)
  name!: string;
}

@InputType({ isOneOf: true })
class Choice {
  @Field(() => String, { nullable: true })
  text?: string;
  @Field(() => Int, { nullable: true })
  number?: number;
}

@InputType()
class MakeInput {
  @Field(() => String)
  name!: string;
  @Field(() => Int, { nullable: true })
  size?: number;
  @Field(() => Choice, { nullable: true })
  choice?: Choice;
}

const AS_ANN = { authorization: 'Bearer good' };
const aborted: string[] = [];

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

  @Query(() => Int)
  page(@Args() args: PageArgs): number {
    return pageRequest(args).first;
  }

  @Query(() => String)
  foreseen(): string {
    throw new AppError('limit.requests', { retryAfterMs: 1500, field: 'input.name' });
  }

  @Query(() => String, { nullable: true })
  unforeseen(): string {
    throw new TypeError('the secret password is hunter2');
  }

  @Query(() => Float)
  notANumber(): unknown {
    return 'hunter2';
  }

  @Query(() => String)
  async slow(@Context() context: GraphContext): Promise<string> {
    await delay(5_000, undefined, { signal: context.signal }).catch(() => aborted.push(context.requestId));
    return 'late';
  }

  @Query(() => String, { nullable: true })
  who(@Context() context: GraphContext): string | undefined {
    return context.principal?.id;
  }

  @Mutation(() => String)
  make(@Args('input', { type: () => MakeInput }) input: MakeInput): string {
    return input.name;
  }

  @Query(() => JsonScalar, { nullable: true })
  echo(@Args('value', { type: () => JsonScalar }) value: unknown): unknown {
    return value;
  }

  @Subscription(() => Int)
  async *ticks(): AsyncGenerator<{ ticks: number }> {
    yield { ticks: 1 };
  }
}

@Module({
  imports: [
    GraphQLModule.forRoot<GraphDriverOptions>({
      driver: GraphDriver,
      autoSchemaFile: true,
      path: '/graphql',
      logger: createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }),
      limits: { maxBodyBytes: 20_000, maxDepth: 4, maxAliases: 5, maxDirectives: 5, maxTokens: 200 },
      authenticate: (request) => {
        const requestId = 'request-1';
        if (request.headers.authorization === undefined) return { requestId, principal: undefined };
        if (request.headers.authorization !== 'Bearer good') throw new AppError('auth.invalid');
        return { requestId, principal: { kind: 'person', id: 'ann', tenantId: 'acme', scopes: new Set() } };
      },
    }),
  ],
  providers: [PartsResolver],
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

interface Answer {
  status: number;
  type: string | null;
  body: { data?: Record<string, unknown> | null; errors?: { message: string; path?: unknown; extensions: Record<string, unknown> }[] };
  text: string;
}

async function post(body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: text === '' ? {} : (JSON.parse(text) as Answer['body']),
    text,
  };
}

const CURRENT = 'application/graphql-response+json';
const OLDER = 'application/json';

describe('GraphQL over HTTP', () => {
  test('passes every audit of graphql-http', async () => {
    const asAnn: typeof fetch = (to, init) => fetch(to, { ...init, headers: { ...(init?.headers as Record<string, string>), ...AS_ANN } });
    const results = await auditServer({ url, fetchFn: asAnn });
    expect(results.filter((result) => result.status !== 'ok').map((result) => result.name)).toEqual([]);
    expect(results.length).toBeGreaterThan(30);
  });

  test.each([
    ['a syntax error', { query: '{' }],
    ['an unknown field', { query: '{ nothing }' }],
    ['a variable of the wrong type', { query: 'mutation($i: MakeInput!) { make(input: $i) }', variables: { i: { name: 3 } } }],
    ['a variable that is missing', { query: 'mutation($i: MakeInput!) { make(input: $i) }' }],
    ['an unknown operation name', { query: '{ hello }', operationName: 'other' }],
  ])('%s: 400 without data for the GraphQL media type, 200 for application/json', async (_, body) => {
    for (let round = 0; round < 3; round++) {
      const current = await post(body, { accept: CURRENT });
      expect([current.status, current.type]).toEqual([400, `${CURRENT}; charset=utf-8`]);
      expect(current.body).not.toHaveProperty('data');
      expect(current.body.errors?.[0]?.extensions).toMatchObject({
        code: 'graphql.invalid',
        kind: 'invalid_input',
        requestId: 'request-1',
      });
      const older = await post(body, { accept: OLDER });
      expect([older.status, older.type]).toEqual([200, `${OLDER}; charset=utf-8`]);
      expect(older.body).not.toHaveProperty('data');
    }
  });

  test('a batch is refused with its reason', async () => {
    const answer = await post([{ query: '{ hello }' }]);
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('Batches') as string,
      extensions: { code: 'request.invalid' },
    });
  });

  test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', 'application/graphql'])(
    'a body of type %s is refused with 415',
    async (type) => {
      const answer = await post('query=%7Bhello%7D', { 'content-type': type });
      expect(answer.status).toBe(415);
      expect(answer.body.errors?.[0]?.extensions.code).toBe('request.unsupported_media_type');
    },
  );

  test('a body that is not JSON, and one that is too large, are refused without being repeated', async () => {
    const broken = await post('{"query": hunter2');
    expect([broken.status, broken.body.errors?.[0]?.extensions.code]).toEqual([400, 'request.malformed']);
    const large = await post({ query: `{ hello } # ${'hunter2'.repeat(4000)}` });
    expect([large.status, large.body.errors?.[0]?.extensions.code]).toEqual([413, 'request.too_large']);
    expect(broken.text + large.text).not.toContain('hunter2');
  });

  test('a mutation by GET is refused with 405', async () => {
    const response = await fetch(`${url}?query=${encodeURIComponent('mutation { make(input: { name: "x" }) }')}`);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  test('a credential that is wrong is 401 before the document is looked at, and none is anonymous', async () => {
    const wrong = await post({ query: '{' }, { authorization: 'Bearer hunter2' });
    expect([wrong.status, wrong.body.errors?.[0]?.extensions.code]).toEqual([401, 'auth.invalid']);
    expect(wrong.text).not.toContain('hunter2');
    expect((await post({ query: '{ who }' })).body.data).toEqual({ who: null });
    expect((await post({ query: '{ who }' }, { authorization: 'Bearer good' })).body.data).toEqual({ who: 'ann' });
  });

  test('a client that goes away aborts the signal of its resolvers', async () => {
    const leave = new AbortController();
    const asked = fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ slow }' }),
      signal: leave.signal,
    }).catch(() => null);
    await delay(150);
    leave.abort();
    await asked;
    await expect.poll(() => aborted.length).toBe(1);
  });
});

describe('errors', () => {
  test('an error of the table keeps its code, kind, field and wait', async () => {
    const answer = await post({ query: '{ foreseen }' });
    expect(answer.status).toBe(200);
    expect(answer.body.errors?.[0]).toMatchObject({
      path: ['foreseen'],
      extensions: { code: 'limit.requests', kind: 'rate_limited', requestId: 'request-1', field: 'input.name', retryAfterMs: 1500 },
    });
  });

  test.each(['{ unforeseen }', '{ notANumber }'])(
    '%s: what nobody foresaw is internal.error, without message, stack or value',
    async (query) => {
      for (let round = 0; round < 3; round++) {
        const answer = await post({ query });
        expect(answer.body.errors?.[0]?.extensions.code).toBe('internal.error');
        expect(answer.text).not.toMatch(/hunter2|password|TypeError|stack|node_modules|\.ts/);
      }
    },
  );

  test.each([
    ['an unknown field', { query: '{ helo }' }],
    ['an unknown type', { query: 'query($x: MakeInpu) { hello }' }],
    ['an unknown argument', { query: '{ hello(nam: "x") }' }],
    ['an unknown input field in the document', { query: 'mutation { make(input: { name: "x", siz: 1 }) }' }],
    [
      'an unknown input field in a variable',
      { query: 'mutation($i: MakeInput!) { make(input: $i) }', variables: { i: { name: 'x', siz: 1 } } },
    ],
  ])('%s gets no suggestion', async (_, body) => {
    const answer = await post(body);
    expect(answer.body.errors?.length).toBeGreaterThan(0);
    expect(answer.text).not.toContain('Did you mean');
  });

  test.each([
    ['a literal of the wrong type', { query: 'mutation { make(input: { name: 1, size: "hunter2" }) }' }],
    [
      'a variable of the wrong type',
      { query: 'mutation($i: MakeInput!) { make(input: $i) }', variables: { i: { name: 'x', size: 'hunter2' } } },
    ],
    ['a variable that is not an object', { query: 'mutation($i: MakeInput!) { make(input: $i) }', variables: { i: 'hunter2' } }],
    ['a string where a name belongs', { query: '{ "hunter2" }' }],
    ['a nullable variable that does not fit', { query: 'query($n: Int) { page(first: $n) }', variables: { n: 'hunter2' } }],
  ])('%s is not repeated', async (_, body) => {
    for (let round = 0; round < 3; round++) {
      const answer = await post(body);
      expect(answer.body.errors?.[0]?.extensions.code).toBe('graphql.invalid');
      expect(answer.text).not.toContain('hunter2');
    }
  });

  test.each([
    ['big', 'a string'],
    [1.5, 'a number'],
    [9_999_999_999, 'a whole number'],
    [true, 'a boolean'],
    [[1], 'a list'],
    [{ hunter2: 1 }, 'an object'],
  ])('a variable that does not fit is named with its path, the type that is expected and what came: %j', async (size, came) => {
    const answer = await post({ query: 'mutation($i: MakeInput!) { make(input: $i) }', variables: { i: { name: 'x', size } } });
    expect(answer.body.errors?.[0]).toMatchObject({
      message: `Variable "$i" is not valid at "i.size": A value of type "Int" is expected, got ${came}.`,
      extensions: { field: 'i.size' },
    });
  });

  test('oneOf inputs need exactly one field, compiled or not', async () => {
    for (let round = 0; round < 4; round++) {
      const query = 'mutation($i: MakeInput!) { make(input: $i) }';
      expect((await post({ query, variables: { i: { name: 'x', choice: { text: 'a' } } } })).body.data).toEqual({ make: 'x' });
      for (const choice of [{}, { text: 'a', number: 1 }, { text: null }]) {
        const answer = await post({ query, variables: { i: { name: 'x', choice } } });
        expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([400, 'graphql.invalid']);
      }
    }
  });

  test('a page size outside 1 to 100 names the field', async () => {
    for (const first of [0, 101, -1])
      expect((await post({ query: `{ page(first: ${first}) }` })).body.errors?.[0]?.extensions).toMatchObject({
        code: 'request.invalid',
        field: 'first',
      });
    expect((await post({ query: '{ page }' })).body.data).toEqual({ page: 20 });
  });
});

describe('limits of a document', () => {
  const tooComplex = async (query: string): Promise<string | undefined> => {
    const answer = await post({ query });
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.[0]?.extensions.code).toBe('graphql.too_complex');
    return answer.body.errors?.[0]?.message;
  };
  const deep = (levels: number): string => (levels === 0 ? 'name' : `part { ${deep(levels - 1)} }`);

  test('depth is counted through fragments, named and inline', async () => {
    expect(await tooComplex(`{ ${deep(4)} }`)).toContain('4 levels of depth');
    expect(
      await tooComplex(
        '{ part { ...A } } fragment A on Part { part { ...B } } fragment B on Part { part { ... on Part { part { name } } } }',
      ),
    ).toContain('4 levels of depth');
  });

  test('aliases and directives are counted each time that their fragment is spread', async () => {
    expect(await tooComplex('{ part { ...A ...A } } fragment A on Part { a: name b: name c: name }')).toContain('5 aliases');
    expect(
      await tooComplex(
        '{ part { ...A ...A } } fragment A on Part { name @skip(if: false) @include(if: true) ...B } fragment B on Part { name @skip(if: false) }',
      ),
    ).toContain('5 directives');
  });

  test('fragments that double at every step are refused at once', async () => {
    const steps = Array.from({ length: 15 }, (_, i) => `fragment F${i} on Part { ...F${i + 1} ...F${i + 1} }`).join(' ');
    const start = performance.now();
    expect(await tooComplex(`{ part { ...F0 } } ${steps} fragment F15 on Part { name }`)).toContain('2000 fields');
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test('root fields are bounded, so that one document does not set off a hundred calls', async () => {
    expect(await tooComplex(`{ ${'hello '.repeat(31)} }`)).toContain('30 root fields');
    expect(await tooComplex(`{ ...A ...A } fragment A on Query { ${'hello '.repeat(16)} }`)).toContain('30 root fields');
  });

  test('tokens are counted while the document is read', async () => {
    expect(await tooComplex(`{ ${'hello '.repeat(250)} }`)).toContain('200 tokens');
  });

  test('a fragment that spreads itself is refused, not followed', async () => {
    expect((await post({ query: '{ part { ...A } } fragment A on Part { name ...A }' })).body.errors?.[0]?.extensions.code).toBe(
      'graphql.invalid',
    );
  });
});

test('one document with two operations answers each by its name, compiled or not', async () => {
  const query = 'query A { hello } query B { part { name } }';
  for (let round = 0; round < 4; round++) {
    expect((await post({ query, operationName: 'A' })).body.data).toEqual({ hello: 'hello you' });
    expect((await post({ query, operationName: 'B' })).body.data).toEqual({ part: { name: 'a' } });
  }
});

test('without a way to authenticate sockets the port serves none', async () => {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
  await new Promise((resolve) => socket.addEventListener('error', resolve));
});

import { digestApiKey, isWellFormedApiKey } from '@weir/access';
import { apiKeyChanged } from '@weir/contracts';
import { encodeCursor } from '@weir/platform/graphql';
import { anOperator, aPrincipal, eventually, TestClock, type TestService } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aPerson, aTenant, startAuth } from '../auth.fixture.ts';

let auth: TestService;
const operator = anOperator();
const clock = new TestClock();
const logLines: string[] = [];
const MAX_API_KEYS = 6;

beforeAll(async () => {
  auth = await startAuth({
    clock,
    onLogLine: (line) => logLines.push(line),
    environment: { WEIR_TENANT_MAX_API_KEYS: String(MAX_API_KEYS) },
  });
});

afterAll(async () => {
  await auth.close();
});

const CREATE = `mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { secret apiKey { id name scopes status expiresAt revokedAt limits { requestsPerMinute maxInFlight } } }
}`;
const REVOKE = 'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { id status revokedAt } } }';
const LIST =
  'query ($first: Int, $after: String) { apiKeys(first: $first, after: $after) { nodes { id name status } pageInfo { hasNextPage endCursor } } }';

interface Created {
  readonly createApiKey: { readonly secret: string; readonly apiKey: { readonly id: string } };
}
interface Listed {
  readonly apiKeys: {
    readonly nodes: { readonly id: string; readonly name: string; readonly status: string }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  };
}

async function aKey(principal = operator, input: Record<string, unknown> = {}): Promise<Created['createApiKey']> {
  const { data, errors } = await auth.graphql<Created>(principal, CREATE, { input: { name: 'ci', ...input } });
  if (data === undefined || data === null) throw new Error(JSON.stringify(errors));
  return data.createApiKey;
}

describe('createApiKey', () => {
  it('shows the secret once; the gateway learns the digest, and nothing holds the secret', async () => {
    const { owner, tenantId } = await aTenant(auth, operator);
    const { secret, apiKey } = await aKey(owner, { limits: { requestsPerMinute: 60 } });
    expect(isWellFormedApiKey(secret)).toBe(true);
    expect(apiKey).toEqual({
      id: secret.slice('weir_sk_'.length, 'weir_sk_'.length + 12),
      name: 'ci',
      scopes: ['infer', 'models.read', 'usage.read'],
      status: 'ACTIVE',
      expiresAt: null,
      revokedAt: null,
      limits: { requestsPerMinute: 60, maxInFlight: null },
    });
    const { keys } = await auth.project({ keys: apiKeyChanged });
    expect(await eventually(() => keys.get(digestApiKey(secret)))).toEqual({
      id: apiKey.id,
      tenantId,
      digest: digestApiKey(secret),
      name: 'ci',
      scopes: ['infer', 'models.read', 'usage.read'],
      limits: { requestsPerMinute: 60, maxInFlight: null },
      expiresAt: null,
    });
    const everything = await dump();
    expect(everything).toContain(digestApiKey(secret));
    expect(everything).not.toContain(secret);
    expect(logLines.join('\n')).not.toContain(secret);
  });

  it('takes scopes that a key may have, limits and an expiry', async () => {
    const { owner } = await aTenant(auth, operator);
    const expiresAt = new Date(clock.now() + 1_000).toISOString();
    const key = await aKey(owner, { scopes: ['infer', 'infer'], limits: { requestsPerMinute: 5, maxInFlight: 2 }, expiresAt });
    expect(key.apiKey).toMatchObject({ scopes: ['infer'], limits: { requestsPerMinute: 5, maxInFlight: 2 }, expiresAt, status: 'ACTIVE' });
    clock.advance(1_000);
    const { data } = await auth.graphql<Listed>(owner, LIST);
    expect(data?.apiKeys.nodes).toMatchObject([{ id: key.apiKey.id, status: 'EXPIRED' }]);
  });

  it.each([
    ['input.name', { name: '' }],
    ['input.scopes[1]', { scopes: ['infer', 'operator'] }],
    ['input.scopes[0]', { scopes: ['api-keys.manage'] }],
    ['input.scopes', { scopes: [] }],
    ['input.limits.requestsPerMinute', { limits: { requestsPerMinute: 0 } }],
    ['input.limits.maxInFlight', { limits: { maxInFlight: 10_001 } }],
    ['input.expiresAt', { expiresAt: '2020-01-01T00:00:00.000Z' }],
  ])('names the field %s that is wrong', async (field, changes) => {
    const { errors } = await auth.graphql(aPrincipal(), CREATE, { input: { name: 'x', ...changes } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field });
  });

  it('is not for members, nor for keys', async () => {
    const { owner } = await aTenant(auth, operator);
    const member = await aPerson(auth, owner, 'member@keys.example');
    for (const principal of [member, aPrincipal({ ...owner, kind: 'api-key', scopes: ['infer'] })]) {
      expect((await auth.graphql(principal, CREATE, { input: { name: 'x' } })).errors?.[0]?.extensions.code).toBe('access.forbidden');
    }
  });

  it('fails for a tenant that does not exist, and leaves no event', async () => {
    const { errors } = await auth.graphql(aPrincipal({ tenantId: 'ghost' }), CREATE, { input: { name: 'x' } });
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['tenant.not_found']);
    expect(await dump()).not.toContain('ghost');
  });

  it('refuses more keys than a tenant may have, also when they are made simultaneously; revoked and expired ones do not count', async () => {
    const [{ owner }, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const expiresAt = new Date(clock.now() + 1_000).toISOString();
    const answers = await Promise.all(
      Array.from({ length: MAX_API_KEYS + 3 }, () => auth.graphql<Created>(owner, CREATE, { input: { name: 'x', expiresAt } })),
    );
    expect(answers.filter(({ errors }) => errors === undefined)).toHaveLength(MAX_API_KEYS);
    for (const { errors } of answers.filter(({ errors }) => errors !== undefined))
      expect(errors?.[0]).toMatchObject({
        message: expect.stringContaining(`may have ${MAX_API_KEYS}`),
        extensions: { code: 'tenant.limit_reached' },
      });
    await aKey(other.owner);
    await auth.graphql(owner, REVOKE, { id: answers.find(({ data }) => data?.createApiKey)?.data?.createApiKey.apiKey.id });
    await aKey(owner, { expiresAt });
    clock.advance(1_000);
    await aKey(owner);
  });

  it('forgets the oldest of the keys that ended, here and at the gateway, when there are more than a tenant may have', async () => {
    const { owner } = await aTenant(auth, operator);
    const expired = await aKey(owner, { name: 'expired', expiresAt: new Date(clock.now() + 1).toISOString() });
    const { keys } = await auth.project({ keys: apiKeyChanged });
    await eventually(() => keys.has(digestApiKey(expired.secret)));
    for (let i = 0; i <= MAX_API_KEYS; i++) {
      clock.advance(1);
      await auth.graphql(owner, REVOKE, { id: (await aKey(owner, { name: `revoked ${i}` })).apiKey.id });
    }
    clock.advance(1);
    await aKey(owner, { name: 'usable' });
    await eventually(() => !keys.has(digestApiKey(expired.secret)));
    const { data } = await auth.graphql<Listed>(owner, LIST);
    expect(data?.apiKeys.nodes.map(({ name }) => name)).toEqual([
      'usable',
      ...Array.from({ length: MAX_API_KEYS }, (_, i) => `revoked ${MAX_API_KEYS - i}`),
    ]);
  });
});

describe('apiKeys', () => {
  it("are those of the caller's tenant, newest first, page by page, and no other's", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const made: string[] = [];
    for (let i = 0; i < 5; i++) {
      made.unshift((await aKey(one.owner, { name: `key ${i}` })).apiKey.id);
      // Two at the same moment: the id decides.
      if (i !== 2) clock.advance(1);
    }
    const seen: string[] = [];
    let after: string | undefined;
    for (let hasNextPage = true; hasNextPage;) {
      const { data }: { data?: Listed | null } = await auth.graphql<Listed>(one.owner, LIST, { first: 2, after });
      seen.push(...(data?.apiKeys.nodes ?? []).map(({ id }) => id));
      hasNextPage = data?.apiKeys.pageInfo.hasNextPage ?? false;
      after = data?.apiKeys.pageInfo.endCursor;
    }
    expect(new Set(seen)).toEqual(new Set(made));
    expect(seen).toHaveLength(5);
    expect([seen[0], seen[4]]).toEqual([made[0], made[4]]);
    expect((await auth.graphql<Listed>(other.owner, LIST)).data?.apiKeys.nodes).toEqual([]);
  });

  it.each([
    ['a date beyond those of PostgreSQL', ['+275760-09-13T00:00:00.000Z', 'x']],
    ['the year 0', ['0000-01-01T00:00:00.000Z', 'x']],
    ['a year before our era', ['-000001-01-01T00:00:00.000Z', 'x']],
    ['a date that does not exist', ['2026-13-41T00:00:00.000Z', 'x']],
    ['a zero character', ['2026-03-14T12:00:00.000Z', '\u0000']],
    ['half a character', ['2026-03-14T12:00:00.000Z', '\ud800']],
    ['an id alone', ['x']],
  ])('name a cursor with %s', async (_, key) => {
    const { owner } = await aTenant(auth, operator);
    const { errors } = await auth.graphql(owner, LIST, { after: encodeCursor(key) });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field: 'after' });
  });

  it('need the scope api-keys.read', async () => {
    expect((await auth.graphql(aPrincipal({ kind: 'api-key', scopes: ['infer'] }), LIST)).errors?.[0]?.extensions.code).toBe(
      'access.forbidden',
    );
  });
});

describe('revokeApiKey', () => {
  it('takes the key from the gateway, and stays in the list', async () => {
    const { owner } = await aTenant(auth, operator);
    const { secret, apiKey } = await aKey(owner);
    const { keys } = await auth.project({ keys: apiKeyChanged });
    await eventually(() => keys.has(digestApiKey(secret)));
    const first = await auth.graphql<{ revokeApiKey: { apiKey: { revokedAt: string } } }>(owner, REVOKE, { id: apiKey.id });
    expect(first.data).toMatchObject({ revokeApiKey: { apiKey: { id: apiKey.id, status: 'REVOKED' } } });
    await eventually(() => !keys.has(digestApiKey(secret)));
    clock.advance(1_000);
    expect((await auth.graphql(owner, REVOKE, { id: apiKey.id })).data).toEqual(first.data);
    expect((await auth.graphql<Listed>(owner, LIST)).data?.apiKeys.nodes).toMatchObject([{ id: apiKey.id, status: 'REVOKED' }]);
  });

  it.each(['\u0000', '\ud800', '*', ''])('names the id %j that none can be', async (id) => {
    expect((await auth.graphql(aPrincipal(), REVOKE, { id })).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'input.id',
    });
  });

  it("cannot reach another tenant's key", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const { apiKey } = await aKey(other.owner);
    expect((await auth.graphql(one.owner, REVOKE, { id: apiKey.id })).errors?.[0]?.extensions.code).toBe('api_key.not_found');
    expect((await auth.graphql<Listed>(other.owner, LIST)).data?.apiKeys.nodes).toMatchObject([{ status: 'ACTIVE' }]);
  });

  it('is not for members', async () => {
    const { owner } = await aTenant(auth, operator);
    const { apiKey } = await aKey(owner);
    const member = await aPerson(auth, owner, 'member@revoke.example');
    expect((await auth.graphql(member, REVOKE, { id: apiKey.id })).errors?.[0]?.extensions.code).toBe('access.forbidden');
  });
});

/** Everything that auth and the bus keep, as text. */
async function dump(): Promise<string> {
  const client = new pg.Client({ connectionString: auth.database.adminUrl });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('auth', 'bus')`,
    );
    let text = '';
    for (const { name } of tables.rows)
      text += JSON.stringify((await client.query(`select row_to_json(t)::text as row from ${name} t`)).rows);
    return text;
  } finally {
    await client.end();
  }
}

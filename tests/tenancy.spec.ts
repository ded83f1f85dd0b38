import { readFileSync } from 'node:fs';
import path from 'node:path';
import { API_KEY_SCOPES, SCOPES_OF_ROLE, type Scope } from '@weir/access';
import type { ErrorCode } from '@weir/kernel';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import { aText, PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform } from './harness/running-platform.ts';

/** What belongs to a tenant and has an id: what another tenant may have overheard. */
interface Belongings {
  readonly tenantId: string;
  readonly slug: string;
  readonly email: string;
  readonly personId: string;
  readonly apiKeyId: string;
  readonly receiptId: string;
  readonly invoiceId: string;
  /** Cursors of the tenant's own pages, by root field. */
  readonly cursors: Readonly<Record<string, string>>;
}

/** A root field of the graph, and who gets what from it. */
interface RootField {
  /** The scope that it needs; `operator` for those of the operator, null where any credential will do. */
  readonly needs: Scope | null;
  readonly document: string;
  /** Asks for nothing that exists, so that whoever may ask changes nothing. @param prefix of the names of the caller's own models */
  readonly harmless: (prefix: string, own: Belongings) => Record<string, unknown>;
  /** Asks for what belongs to another tenant. */
  readonly greedy: (theirs: Belongings) => Record<string, unknown>;
  /** What comes of that: an error, or an answer with nothing of theirs in it. */
  readonly gives: ErrorCode | 'nothing of theirs';
}

const NOBODY = 'nobody-0';
const A_FILE = { path: 'config.json', sha256: '0'.repeat(64), sizeBytes: 1 };
const A_SERVER = { kind: 'OPENAI', url: 'https://server.example/v1', model: 'x' };
const A_RATE = { model: '*', meter: 'requests', unitAmount: '1', per: 1 };
const A_PERSON = { name: 'X', password: 'a password of x' };
const none = (): Record<string, unknown> => ({});

function page(field: string, selection: string): Pick<RootField, 'document' | 'harmless' | 'greedy' | 'gives'> {
  return {
    document: `query ($after: String) { ${field}(first: 100, after: $after) { nodes { ${selection} } pageInfo { endCursor } } }`,
    harmless: none,
    greedy: ({ cursors }) => ({ after: cursors[field] ?? null }),
    gives: 'nothing of theirs',
  };
}

function change(
  field: string,
  harmless: RootField['harmless'],
  greedy: (theirs: Belongings) => Record<string, unknown>,
  gives: RootField['gives'],
): Pick<RootField, 'document' | 'harmless' | 'greedy' | 'gives'> {
  const type = `${field.charAt(0).toUpperCase()}${field.slice(1)}Input`;
  return {
    document: `mutation ($input: ${type}!) { ${field}(input: $input) { __typename } }`,
    harmless: (prefix, own) => ({ input: harmless(prefix, own) }),
    greedy: (theirs) => ({ input: greedy(theirs) }),
    gives,
  };
}

/** Every root field. One that is not here fails the first test below: say who may ask it, and what a stranger gets. */
const ROOT_FIELDS: Readonly<Record<string, RootField>> = {
  'Query.apiKeys': { needs: 'api-keys.read', ...page('apiKeys', 'id name') },
  'Query.invoice': {
    needs: 'invoices.read',
    document: 'query ($id: ID!) { invoice(id: $id) { id lines { amount } } }',
    harmless: () => ({ id: NOBODY }),
    greedy: ({ invoiceId }) => ({ id: invoiceId }),
    gives: 'invoice.not_found',
  },
  'Query.invoices': { needs: 'invoices.read', ...page('invoices', 'id lines { amount }') },
  'Query.me': { needs: null, document: '{ me { id email } }', harmless: none, greedy: none, gives: 'nothing of theirs' },
  'Query.billingReconciliation': {
    needs: 'operator',
    document: 'query ($id: ID!) { billingReconciliation(tenantId: $id) { periodStart } }',
    harmless: () => ({ id: NOBODY }),
    greedy: ({ tenantId }) => ({ id: tenantId }),
    gives: 'access.forbidden',
  },
  'Query.meteringReconciliation': {
    needs: 'operator',
    document: 'query ($id: ID!) { meteringReconciliation(tenantId: $id) { tenantId calls } }',
    harmless: () => ({ id: NOBODY }),
    greedy: ({ tenantId }) => ({ id: tenantId }),
    gives: 'access.forbidden',
  },
  'Query.model': {
    needs: 'models.read',
    document: 'query ($name: String!) { model(name: $name) { id name } }',
    harmless: (prefix) => ({ name: `${prefix}${NOBODY}` }),
    greedy: ({ slug }) => ({ name: `${slug}/secret` }),
    gives: 'nothing of theirs',
  },
  'Query.modelQuotas': {
    needs: 'models.read',
    document: 'query ($id: ID) { modelQuotas(tenantId: $id) { tenantId versions { used } } }',
    harmless: () => ({ id: null }),
    greedy: ({ tenantId }) => ({ id: tenantId }),
    gives: 'access.forbidden',
  },
  'Query.models': { needs: 'models.read', ...page('models', 'id name') },
  'Query.people': { needs: 'people.read', ...page('people', 'id email') },
  'Query.plans': { needs: 'models.read', ...page('plans', 'code') },
  'Query.platform': { needs: null, document: '{ platform { version } }', harmless: none, greedy: none, gives: 'nothing of theirs' },
  'Query.receipt': {
    needs: 'usage.read',
    document: 'query ($id: ID!) { receipt(id: $id) { id principalId } }',
    harmless: () => ({ id: NOBODY }),
    greedy: ({ receiptId }) => ({ id: receiptId }),
    gives: 'receipt.not_found',
  },
  'Query.receipts': {
    needs: 'usage.read',
    document:
      'query ($who: String, $after: String) { receipts(first: 100, principalId: $who, after: $after) { nodes { id principalId } pageInfo { endCursor } } }',
    harmless: none,
    greedy: ({ apiKeyId, cursors }) => ({ who: apiKeyId, after: cursors['receipts'] ?? null }),
    gives: 'nothing of theirs',
  },
  'Query.subscription': {
    needs: 'invoices.read',
    document: '{ subscription { id } }',
    harmless: none,
    greedy: none,
    gives: 'nothing of theirs',
  },
  'Query.tenant': { needs: 'tenant.read', document: '{ tenant { id slug } }', harmless: none, greedy: none, gives: 'nothing of theirs' },
  'Query.tenants': { needs: 'operator', ...page('tenants', 'id slug'), gives: 'access.forbidden' },
  'Query.usage': {
    needs: 'usage.read',
    document:
      'query ($who: String, $after: String) { usage(first: 100, filter: { principalId: $who }, after: $after) { nodes { principalId calls } totals { calls } pageInfo { endCursor } } }',
    harmless: none,
    greedy: ({ apiKeyId, cursors }) => ({ who: apiKeyId, after: cursors['usage'] ?? null }),
    gives: 'nothing of theirs',
  },
  'Mutation.addPerson': {
    needs: 'people.manage',
    ...change(
      'addPerson',
      // A role that the tenant does not have: nobody is added.
      (prefix, { email }) => ({ ...A_PERSON, email, role: prefix === '' ? 'MEMBER' : 'OPERATOR' }),
      // Added to the rival's own tenant, as if nobody had the address.
      ({ email }) => ({ ...A_PERSON, email }),
      'nothing of theirs',
    ),
  },
  'Mutation.createApiKey': {
    needs: 'api-keys.manage',
    ...change(
      'createApiKey',
      () => ({ name: 'x', expiresAt: '2001-01-01T00:00:00Z' }),
      () => ({ name: 'x', expiresAt: '2001-01-01T00:00:00Z' }),
      'request.invalid',
    ),
  },
  'Mutation.createPlan': {
    needs: 'operator',
    ...change(
      'createPlan',
      () => ({ code: 'starter', displayName: 'X', currency: 'EUR', models: ['*'], rates: [A_RATE] }),
      () => ({ code: 'gift', displayName: 'X', currency: 'EUR', models: ['*'], rates: [{ ...A_RATE, unitAmount: '0' }] }),
      'access.forbidden',
    ),
  },
  'Mutation.createTenant': {
    needs: 'operator',
    ...change(
      'createTenant',
      () => ({ slug: 'acme', displayName: 'X', owner: { ...A_PERSON, email: 'x@x.example' } }),
      ({ slug, email }) => ({ slug, displayName: 'X', owner: { ...A_PERSON, email } }),
      'access.forbidden',
    ),
  },
  'Mutation.endSubscription': {
    needs: 'operator',
    ...change(
      'endSubscription',
      () => ({ tenantId: NOBODY }),
      ({ tenantId }) => ({ tenantId }),
      'access.forbidden',
    ),
  },
  'Mutation.infer': {
    needs: 'infer',
    ...change(
      'infer',
      (prefix) => ({ model: `${prefix}${NOBODY}`, input: { text: 'x' } }),
      ({ slug }) => ({ model: `${slug}/secret`, input: { text: 'x' } }),
      'model.not_found',
    ),
  },
  'Mutation.inferMany': {
    needs: 'infer',
    ...change(
      'inferMany',
      (prefix) => ({ model: `${prefix}${NOBODY}`, inputs: [{ text: 'x' }] }),
      ({ slug }) => ({ model: `${slug}/secret`, inputs: [{ text: 'x' }] }),
      'model.not_found',
    ),
  },
  'Mutation.publishModelVersion': {
    needs: 'models.manage',
    ...change(
      'publishModelVersion',
      (prefix) => ({ name: `${prefix}${NOBODY}`, version: '1', files: [A_FILE] }),
      ({ slug }) => ({ name: `${slug}/secret`, version: '2', files: [A_FILE] }),
      'access.forbidden',
    ),
  },
  'Mutation.publishPriceList': {
    needs: 'operator',
    ...change(
      'publishPriceList',
      () => ({ planCode: NOBODY, rates: [A_RATE] }),
      () => ({ planCode: 'starter', rates: [{ ...A_RATE, unitAmount: '0' }] }),
      'access.forbidden',
    ),
  },
  'Mutation.publishRemoteModelVersion': {
    needs: 'operator',
    ...change(
      'publishRemoteModelVersion',
      // A server of this kind does not do this task: whoever may publish is told so, and nothing is.
      (prefix) => ({ name: `${prefix}${NOBODY}`, version: '1', task: 'TEXT_CLASSIFICATION', backend: A_SERVER }),
      ({ slug }) => ({ name: `${slug}/secret`, version: '2', task: 'FEATURE_EXTRACTION', backend: A_SERVER }),
      'access.forbidden',
    ),
  },
  'Mutation.reactivateTenant': {
    needs: 'operator',
    ...change(
      'reactivateTenant',
      () => ({ id: NOBODY }),
      ({ tenantId }) => ({ id: tenantId }),
      'access.forbidden',
    ),
  },
  'Mutation.removeModelAlias': {
    needs: 'models.manage',
    ...change(
      'removeModelAlias',
      (prefix) => ({ name: `${prefix}${NOBODY}`, alias: 'production' }),
      ({ slug }) => ({ name: `${slug}/secret`, alias: 'production' }),
      'model.not_found',
    ),
  },
  'Mutation.removePerson': {
    needs: 'people.manage',
    ...change(
      'removePerson',
      () => ({ id: NOBODY }),
      ({ personId }) => ({ id: personId }),
      'person.not_found',
    ),
  },
  'Mutation.revokeApiKey': {
    needs: 'api-keys.manage',
    ...change(
      'revokeApiKey',
      () => ({ id: NOBODY }),
      ({ apiKeyId }) => ({ id: apiKeyId }),
      'api_key.not_found',
    ),
  },
  'Mutation.setModelAlias': {
    needs: 'models.manage',
    ...change(
      'setModelAlias',
      (prefix) => ({ name: `${prefix}${NOBODY}`, alias: 'production', version: '1' }),
      ({ slug }) => ({ name: `${slug}/secret`, alias: 'production', version: '1' }),
      'model.not_found',
    ),
  },
  'Mutation.setTenantLimits': {
    needs: 'operator',
    ...change(
      'setTenantLimits',
      () => ({ id: NOBODY }),
      ({ tenantId }) => ({ id: tenantId, requestsPerMinute: 1 }),
      'access.forbidden',
    ),
  },
  'Mutation.setModelQuotas': {
    needs: 'operator',
    ...change(
      'setModelQuotas',
      () => ({ tenantId: NOBODY, versions: 1 }),
      ({ tenantId }) => ({ tenantId, versions: 0 }),
      'access.forbidden',
    ),
  },
  'Mutation.setPlanAudience': {
    needs: 'operator',
    ...change(
      'setPlanAudience',
      () => ({ planCode: NOBODY }),
      ({ tenantId }) => ({ planCode: 'starter', audience: [tenantId] }),
      'access.forbidden',
    ),
  },
  'Mutation.subscribe': {
    needs: 'subscriptions.manage',
    ...change(
      'subscribe',
      () => ({ planCode: NOBODY }),
      () => ({ planCode: NOBODY }),
      'plan.not_found',
    ),
  },
  'Mutation.subscribeTenant': {
    needs: 'operator',
    ...change(
      'subscribeTenant',
      () => ({ tenantId: NOBODY, planCode: 'starter' }),
      ({ tenantId }) => ({ tenantId, planCode: 'starter' }),
      'access.forbidden',
    ),
  },
  'Mutation.suspendTenant': {
    needs: 'operator',
    ...change(
      'suspendTenant',
      () => ({ id: NOBODY }),
      ({ tenantId }) => ({ id: tenantId }),
      'access.forbidden',
    ),
  },
};

const codeOf = (answer: { readonly errors?: readonly { readonly extensions: Readonly<Record<string, unknown>> }[] }): unknown =>
  answer.errors?.[0]?.extensions['code'];

describe('every root field of the graph', () => {
  let platform: RunningPlatform;
  let owner: PlatformClient;
  let operator: PlatformClient;
  let acme: Belongings;

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    owner = await platform.administrator();
    operator = await platform.operator();
    acme = await belongingsOf(owner);
  });
  afterAll(() => platform.stop());

  /** A key of the tenant with some scopes. */
  async function aKey(as: PlatformClient, scopes: readonly Scope[]): Promise<{ client: PlatformClient; id: string }> {
    const { createApiKey } = await as.data<{ createApiKey: { secret: string; apiKey: { id: string } } }>(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }',
      { input: { name: scopes.join(' ').slice(0, 60), scopes } },
    );
    const client = new PlatformClient(platform.url, createApiKey.secret);
    await eventually(async () => expect(codeOf(await client.graph('{ platform { version } }'))).toBeUndefined(), 10_000);
    return { client, id: createApiKey.apiKey.id };
  }

  /** A member of the tenant, signed in. */
  async function aMember(as: PlatformClient, email: string): Promise<{ client: PlatformClient; id: string }> {
    const { addPerson } = await as.data<{ addPerson: { person: { id: string } } }>(
      'mutation ($input: AddPersonInput!) { addPerson(input: $input) { person { id } } }',
      { input: { ...A_PERSON, email } },
    );
    return { client: await PlatformClient.signIn(platform.url, email, A_PERSON.password), id: addPerson.person.id };
  }

  /** Gives a subscribed tenant one of everything. */
  async function belongingsOf(as: PlatformClient): Promise<Belongings> {
    const key = await aKey(as, API_KEY_SCOPES);
    const called = await eventually(() => key.client.infer('sentiment', { text: 'mine' }));
    const { tenant, me, invoices } = await as.data<{
      tenant: { id: string; slug: string };
      me: { email: string };
      invoices: { nodes: { id: string }[] };
    }>('{ tenant { id slug } me { email } invoices { nodes { id } } }');
    const member = await aMember(as, `member@${tenant.slug}.example`);
    await eventually(() => as.data('query ($id: ID!) { receipt(id: $id) { id } }', { id: called.receiptId }));
    const cursors: Record<string, string> = {};
    for (const field of ['apiKeys', 'invoices', 'models', 'people', 'plans', 'receipts', 'usage']) {
      const data = await as.data<Record<string, { pageInfo: { endCursor: string | null } }>>(
        `{ ${field}(first: 1) { pageInfo { endCursor } } }`,
      );
      cursors[field] = data[field]?.pageInfo.endCursor ?? '';
      expect(cursors[field], field).not.toBe('');
    }
    return {
      tenantId: tenant.id,
      slug: tenant.slug,
      email: me.email,
      personId: member.id,
      apiKeyId: key.id,
      receiptId: called.receiptId,
      invoiceId: invoices.nodes[0]?.id ?? '',
      cursors,
    };
  }

  /** Another tenant with an owner, by the operator. */
  async function aRival(slug: string): Promise<{ client: PlatformClient; tenantId: string; email: string }> {
    const email = `owner@${slug}.example`;
    const { createTenant } = await operator.data<{ createTenant: { tenant: { id: string } } }>(
      'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } } }',
      { input: { slug, displayName: slug, owner: { ...A_PERSON, email } } },
    );
    return { client: await PlatformClient.signIn(platform.url, email, A_PERSON.password), tenantId: createTenant.tenant.id, email };
  }

  async function suspend(tenantId: string, mutation: 'suspendTenant' | 'reactivateTenant'): Promise<void> {
    const type = mutation === 'suspendTenant' ? 'SuspendTenantInput' : 'ReactivateTenantInput';
    await operator.data(`mutation ($input: ${type}!) { ${mutation}(input: $input) { tenant { status } } }`, { input: { id: tenantId } });
  }

  test('stands in the table of this test', async () => {
    const { __schema } = await owner.data<{ __schema: Record<string, { name: string; fields: { name: string }[] } | null> }>(
      '{ __schema { queryType { name fields { name } } mutationType { name fields { name } } subscriptionType { name fields { name } } } }',
    );
    const fields = Object.values(__schema).flatMap((root) => (root?.fields ?? []).map((field) => `${root?.name}.${field.name}`));
    expect(fields.sort()).toEqual(Object.keys(ROOT_FIELDS).sort());
  });

  test('is answered to those who hold its scope, and to nobody else: owners, members, keys and operators', async () => {
    const member = await aMember(owner, 'matrix@acme.example');
    const whos: { name: string; client: PlatformClient; scopes: readonly Scope[]; prefix: string }[] = [
      { name: 'owner', client: owner, scopes: SCOPES_OF_ROLE.owner, prefix: 'acme/' },
      { name: 'member', client: member.client, scopes: SCOPES_OF_ROLE.member, prefix: 'acme/' },
      { name: 'operator', client: operator, scopes: SCOPES_OF_ROLE.operator, prefix: '' },
    ];
    for (const scope of API_KEY_SCOPES)
      whos.push({ name: `key with ${scope}`, client: (await aKey(owner, [scope])).client, scopes: [scope], prefix: 'acme/' });
    const wrong: string[] = [];
    for (const [name, field] of Object.entries(ROOT_FIELDS)) {
      for (const who of whos) {
        const code = codeOf(await who.client.graph(field.document, field.harmless(who.prefix, acme)));
        const isAllowed = field.needs === null || who.scopes.includes(field.needs);
        if ((code !== 'access.forbidden') !== isAllowed || /^(graphql|internal)\./.test(String(code)))
          wrong.push(`${name} as ${who.name}: ${String(code)}`);
      }
      const anonymous = codeOf(await new PlatformClient(platform.url).graph(field.document, field.harmless('', acme)));
      if (anonymous !== 'auth.required') wrong.push(`${name} as nobody: ${String(anonymous)}`);
    }
    expect(wrong).toEqual([]);
  });

  test('gives another tenant nothing, whatever ids, names, filters and cursors it has overheard', async () => {
    const rival = await aRival('rival');
    const { tenantId, personId, apiKeyId, receiptId } = acme;
    const theirs = [tenantId, personId, apiKeyId, receiptId, '@acme.example', 'acme/'];
    const wrong: string[] = [];
    for (const [name, field] of Object.entries(ROOT_FIELDS)) {
      const answer = await rival.client.graph<Record<string, unknown>>(field.document, field.greedy(acme));
      const code = codeOf(answer);
      const isAsExpected = field.gives === 'nothing of theirs' ? code === undefined : code === field.gives;
      const leaked = theirs.filter((mark) => answer.text.includes(mark));
      if (!isAsExpected || leaked.length > 0) wrong.push(`${name}: ${String(code)} ${leaked.join(' ')} ${answer.text.slice(0, 200)}`);
    }
    expect(wrong).toEqual([]);
    const { usage, receipts } = await rival.client.data<{ usage: { totals: { calls: number } }; receipts: { nodes: unknown[] } }>(
      'query ($who: String) { usage(filter: { principalId: $who }) { totals { calls } } receipts(principalId: $who) { nodes { id } } }',
      { who: apiKeyId },
    );
    expect([usage.totals.calls, receipts.nodes]).toEqual([0, []]);
    // And everything of theirs is as it was.
    expect(codeOf(await owner.graph('{ people { nodes { id } } }'))).toBeUndefined();
    const { people, apiKeys } = await owner.data<{
      people: { nodes: { id: string }[] };
      apiKeys: { nodes: { id: string; status: string }[] };
    }>('{ people { nodes { id } } apiKeys(first: 100) { nodes { id status } } }');
    expect(people.nodes.map(({ id }) => id)).toContain(personId);
    expect(apiKeys.nodes.find(({ id }) => id === apiKeyId)).toMatchObject({ status: 'ACTIVE' });
  });

  test('leaves no name or id of a tenant, a key or a person in the metrics of a service', async () => {
    const marks = [acme.tenantId, acme.personId, acme.apiKeyId, 'acme', 'rival'];
    for (const service of ['auth', 'registry', 'metering', 'billing', 'worker'] as const) {
      const metrics = await (await fetch(`${platform.internalUrlOf(service)}/metrics`)).text();
      expect(metrics).toContain('weir_http_request_seconds_count');
      expect([service, marks.filter((mark) => metrics.includes(mark))]).toEqual([service, []]);
    }
  });

  test('is closed to a suspended tenant within five seconds, by session and by key on every surface, and open again afterwards', async () => {
    const { client, tenantId, email } = await aRival('suspended');
    const key = (await aKey(client, API_KEY_SCOPES)).client;
    const codes = async (): Promise<unknown[]> => [
      codeOf(await client.graph('{ tenant { id } }')),
      codeOf(await key.graph('{ plans { nodes { code } } }')),
      (await key.openInfer('sentiment', aText('x'))).headers.get('x-weir-error-code'),
      (await client.fetch('/auth/session')).status,
    ];
    expect(await codes()).toEqual([undefined, undefined, 'subscription.required', 200]);
    await suspend(tenantId, 'suspendTenant');
    const refused = 'access.tenant_suspended';
    await eventually(async () => expect(await codes()).toEqual([refused, refused, refused, 403]), 5_000);
    await expect(PlatformClient.signIn(platform.url, email, A_PERSON.password)).rejects.toThrow(refused);
    await suspend(tenantId, 'reactivateTenant');
    await eventually(async () => expect(await codes()).toEqual([undefined, undefined, 'subscription.required', 200]), 5_000);
  });

  test('is closed within five seconds to whoever signed out, was removed, or holds a key that was revoked', async () => {
    const leaver = await aMember(owner, 'leaver@acme.example');
    const other = await PlatformClient.signIn(platform.url, 'leaver@acme.example', A_PERSON.password);
    expect((await leaver.client.fetch('/auth/sign-out', { method: 'POST' })).status).toBe(204);
    await eventually(async () => expect(codeOf(await leaver.client.graph('{ me { id } }'))).toBe('auth.invalid'), 5_000);
    expect(codeOf(await other.graph('{ me { id } }'))).toBeUndefined();
    await owner.data('mutation ($id: ID!) { removePerson(input: { id: $id }) { id } }', { id: leaver.id });
    await eventually(async () => expect(codeOf(await other.graph('{ me { id } }'))).toBe('auth.invalid'), 5_000);
    const key = await aKey(owner, ['usage.read']);
    await owner.data('mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { id } } }', { id: key.id });
    await eventually(async () => expect(codeOf(await key.client.graph('{ usage { totals { calls } } }'))).toBe('auth.invalid'), 5_000);
  });

  describe('rests on tables', () => {
    /** A connection with the role of a service. */
    async function as<T>(role: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
      const read = (file: string): unknown => JSON.parse(readFileSync(path.join(platform.home, file), 'utf8'));
      const { databasePasswords } = read('secrets.json') as { databasePasswords: Record<string, string> };
      const { postgresql } = read('ports.json') as { postgresql: number };
      const client = new pg.Client({
        host: '127.0.0.1',
        port: postgresql,
        user: role,
        password: databasePasswords[role] ?? '',
        database: 'weir',
      });
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    }

    test.each(['auth', 'registry', 'metering', 'billing'])('of %s that row-level security binds, its owner too', async (service) => {
      const tables = await as(service, async (client) => {
        const { rows } = await client.query<{ name: string; is_bound: boolean; policies: number }>(
          `select relname as name, relrowsecurity and relforcerowsecurity as is_bound,
             (select count(*)::int from pg_policy where polrelid = pg_class.oid and polcmd = '*') as policies
           from pg_class where relnamespace = $1::regnamespace and relkind in ('r', 'p')
             and exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'tenant_id' and not attisdropped)`,
          [service],
        );
        return rows;
      });
      expect(tables.length).toBeGreaterThan(0);
      expect(tables.filter(({ is_bound, policies }) => !is_bound || policies === 0)).toEqual([]);
    });

    test.each(['auth', 'registry', 'metering', 'billing'])(
      'that the role of %s alone can read, beside the bookkeeping of the bus, without privileges beyond them',
      async (service) => {
        const found = await as(service, async (client) => {
          const { rows: readable } = await client.query<{ name: string }>(
            `select oid::regclass::text as name from pg_class
           where relkind in ('r', 'p', 'v', 'm') and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast', $1)
             and has_schema_privilege(relnamespace, 'usage') and has_table_privilege(oid, 'select, insert, update, delete')`,
            [service],
          );
          const { rows: roles } = await client.query<{ is_mighty: boolean }>(
            `select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
             or exists (select from pg_auth_members where member = pg_roles.oid and roleid::regrole::text <> 'bus_client') as is_mighty
           from pg_roles where rolname = current_user`,
          );
          return { readable, roles };
        });
        // Records are read and appended by functions of the bus alone, which check the topic.
        const bookkeeping = ['group_member', 'group_partition', 'migration', 'sweep', 'topic', 'topic_partition'];
        expect(found.readable.map(({ name }) => name).sort()).toEqual(bookkeeping.map((table) => `bus.${table}`));
        expect(found.roles).toEqual([{ is_mighty: false }]);
      },
    );
  });
});

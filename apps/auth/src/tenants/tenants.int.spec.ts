import { servicePrincipal } from '@weir/access';
import { tenantChanged } from '@weir/contracts';
import { encodeCursor } from '@weir/platform/graphql';
import { anOperator, aPrincipal, eventually, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aTenant, launcher, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';

let auth: TestService;
const operator = anOperator();

beforeAll(async () => {
  auth = await startAuth();
});

afterAll(async () => {
  await auth.close();
});

const CREATE =
  'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id slug displayName status } owner { email name role } } }';

function input(slug: string, changes: object = {}): Record<string, unknown> {
  return { input: { slug, displayName: 'Acme', owner: { email: `Owner@${slug}.example`, name: 'Olga', password: PASSWORD }, ...changes } };
}

describe('createTenant', () => {
  it('makes a tenant with its owner, and tells everyone', async () => {
    const { data } = await auth.graphql(operator, CREATE, input('acme'));
    expect(data).toMatchObject({
      createTenant: {
        tenant: { slug: 'acme', displayName: 'Acme', status: 'ACTIVE' },
        owner: { email: 'owner@acme.example', name: 'Olga', role: 'OWNER' },
      },
    });
    const { tenants } = await auth.project({ tenants: tenantChanged });
    await eventually(() => [...tenants.values()].some(({ slug, status }) => slug === 'acme' && status === 'active'));
  });

  it('is for operators alone', async () => {
    const { errors } = await auth.graphql(aPrincipal(), CREATE, input('other'));
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'access.forbidden' });
  });

  it('makes nothing when the slug is taken', async () => {
    await auth.graphql(operator, CREATE, input('taken'));
    const again = await auth.graphql(operator, CREATE, input('taken', { owner: { email: 'x@y.example', name: 'X', password: PASSWORD } }));
    expect(again.errors?.[0]?.extensions).toMatchObject({ code: 'tenant.slug_taken', field: 'input.slug' });
    expect((await signIn(auth, 'x@y.example', PASSWORD)).status).toBe(401);
  });

  it('takes an owner whose address another tenant has', async () => {
    await auth.graphql(operator, CREATE, input('first'));
    const owner = { email: 'OWNER@first.example', name: 'X', password: 'another good password' };
    expect((await auth.graphql(operator, CREATE, input('second', { owner }))).errors).toBeUndefined();
    for (const [password, slug] of [
      [PASSWORD, 'first'],
      [owner.password, 'second'],
    ] as const)
      expect(await (await signIn(auth, owner.email, password)).json()).toMatchObject({ tenant: { slug } });
  });

  it.each([
    ['input.slug', { slug: 'Not A Slug' }],
    ['input.slug', { slug: 'platform' }],
    ['input.displayName', { displayName: ' ' }],
    ['input.owner.password', { owner: { email: 'a@b.example', name: 'A', password: 'short' } }],
    ['input.owner.email', { owner: { email: 'nobody', name: 'A', password: PASSWORD } }],
  ])('names the field %s that is wrong, and not its value', async (field, changes) => {
    const { errors } = await auth.graphql(operator, CREATE, input('wrong', changes));
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field });
    expect(JSON.stringify(errors)).not.toMatch(/short|nobody|Not A Slug/);
  });
});

describe('tenant', () => {
  it("is the caller's own, and never another tenant's", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const read = '{ tenant { id } }';
    expect((await auth.graphql(one.owner, read)).data).toEqual({ tenant: { id: one.tenantId } });
    expect((await auth.graphql(other.owner, read)).data).toEqual({ tenant: { id: other.tenantId } });
  });

  it('needs the scope tenant.read', async () => {
    const { errors } = await auth.graphql(aPrincipal({ kind: 'api-key', scopes: ['infer'] }), '{ tenant { id } }');
    expect(errors?.[0]?.extensions.code).toBe('access.forbidden');
  });
});

interface Page {
  readonly hasNextPage: boolean;
  readonly endCursor: string | null;
}

describe('tenants', () => {
  it('lists all to an operator, page by page, and none to anyone else', async () => {
    const made = [await aTenant(auth, operator), await aTenant(auth, operator), await aTenant(auth, operator)];
    const seen: string[] = [];
    for (let page: Page = { hasNextPage: true, endCursor: null }; page.hasNextPage;) {
      const { data } = await auth.graphql<{ tenants: { nodes: { id: string }[]; pageInfo: Page } }>(
        operator,
        'query ($after: String) { tenants(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }',
        { after: page.endCursor },
      );
      seen.push(...(data?.tenants.nodes ?? []).map(({ id }) => id));
      page = data?.tenants.pageInfo ?? { hasNextPage: false, endCursor: null };
    }
    expect(seen).toEqual(expect.arrayContaining(made.map(({ tenantId }) => tenantId)));
    expect(new Set(seen).size).toBe(seen.length);
    const { errors } = await auth.graphql(made[0]?.owner ?? operator, '{ tenants { nodes { id } } }');
    expect(errors?.[0]?.extensions.code).toBe('access.forbidden');
  });
});

it.each(['suspendTenant', 'reactivateTenant', 'setTenantLimits'])('%s names an id that none can be', async (mutation) => {
  for (const id of ['\u0000', '\ud800', '*']) {
    const { errors } = await auth.graphql(operator, `mutation ($id: ID!) { ${mutation}(input: { id: $id }) { tenant { id } } }`, { id });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field: 'input.id' });
  }
});

it('tenants names a cursor that no page gave', async () => {
  for (const after of [encodeCursor('\u0000'), encodeCursor(['a', '\ud800'])]) {
    const { errors } = await auth.graphql(operator, 'query ($after: String) { tenants(after: $after) { nodes { id } } }', { after });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field: 'after' });
  }
});

describe('suspendTenant', () => {
  const SUSPEND = 'mutation ($id: ID!) { suspendTenant(input: { id: $id }) { tenant { status } } }';
  const REACTIVATE = 'mutation ($id: ID!) { reactivateTenant(input: { id: $id }) { tenant { status } } }';

  it('is announced and refuses sign-ins until reactivateTenant', async () => {
    const { tenantId, ownerEmail } = await aTenant(auth, operator);
    const { tenants } = await auth.project({ tenants: tenantChanged });
    expect((await auth.graphql(operator, SUSPEND, { id: tenantId })).data).toEqual({ suspendTenant: { tenant: { status: 'SUSPENDED' } } });
    await eventually(() => tenants.get(tenantId)?.status === 'suspended');
    const refused = await signIn(auth, ownerEmail, PASSWORD);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { code: 'access.tenant_suspended' } });
    expect((await auth.graphql(operator, REACTIVATE, { id: tenantId })).data).toEqual({
      reactivateTenant: { tenant: { status: 'ACTIVE' } },
    });
    await eventually(() => tenants.get(tenantId)?.status === 'active');
    expect((await signIn(auth, ownerEmail, PASSWORD)).status).toBe(200);
  });

  it("is not for a tenant's own people, not even for their own tenant", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    for (const id of [one.tenantId, other.tenantId]) {
      expect((await auth.graphql(one.owner, SUSPEND, { id })).errors?.[0]?.extensions.code).toBe('access.forbidden');
      expect((await auth.graphql(one.owner, REACTIVATE, { id })).errors?.[0]?.extensions.code).toBe('access.forbidden');
    }
  });

  it("refuses an unknown tenant and the operator's own", async () => {
    expect((await auth.graphql(operator, SUSPEND, { id: 'nobody' })).errors?.[0]?.extensions.code).toBe('tenant.not_found');
    expect((await auth.graphql(operator, SUSPEND, { id: 'platform' })).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'input.id',
    });
  });
});

describe('setTenantLimits', () => {
  const SET =
    'mutation ($input: SetTenantLimitsInput!) { setTenantLimits(input: $input) { tenant { id limits { requestsPerMinute maxInFlight } } } }';
  const READ = '{ tenant { limits { requestsPerMinute maxInFlight } } }';

  it('is announced, shown to the tenant, kept by other changes, and undone by leaving the limits out', async () => {
    const [{ tenantId, owner }, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const { tenants } = await auth.project({ tenants: tenantChanged });
    const none = { requestsPerMinute: null, maxInFlight: null };
    expect((await auth.graphql(owner, READ)).data).toEqual({ tenant: { limits: none } });
    await eventually(() => tenants.get(tenantId)?.limits?.maxInFlight === null);
    const limits = { requestsPerMinute: 1_200, maxInFlight: 8 };
    const set = await auth.graphql(operator, SET, { input: { id: tenantId, ...limits } });
    expect(set.data).toEqual({ setTenantLimits: { tenant: { id: tenantId, limits } } });
    await auth.graphql(operator, 'mutation ($id: ID!) { suspendTenant(input: { id: $id }) { tenant { id } } }', { id: tenantId });
    await eventually(() => tenants.get(tenantId)?.status === 'suspended');
    expect(tenants.get(tenantId)?.limits).toEqual(limits);
    expect((await auth.graphql(owner, READ)).data).toEqual({ tenant: { limits } });
    expect((await auth.graphql(other.owner, READ)).data).toEqual({ tenant: { limits: none } });
    await auth.graphql(operator, SET, { input: { id: tenantId } });
    await eventually(() => tenants.get(tenantId)?.limits?.requestsPerMinute === null);
  });

  it("is not for a tenant's own people, neither for their own tenant nor for another", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    for (const id of [one.tenantId, other.tenantId]) {
      const { errors } = await auth.graphql(one.owner, SET, { input: { id, requestsPerMinute: 1_000_000 } });
      expect(errors?.[0]?.extensions.code).toBe('access.forbidden');
    }
  });

  it.each([
    ['input.requestsPerMinute', { requestsPerMinute: 0 }],
    ['input.requestsPerMinute', { requestsPerMinute: 1_000_001 }],
    ['input.maxInFlight', { maxInFlight: -1 }],
    ['input.maxInFlight', { maxInFlight: 10_001 }],
  ])('names the field %s that is out of bounds', async (field, limits) => {
    const { errors } = await auth.graphql(operator, SET, { input: { id: 'x', ...limits } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field });
  });

  it('refuses an unknown tenant', async () => {
    const { errors } = await auth.graphql(operator, SET, { input: { id: 'nobody', maxInFlight: 1 } });
    expect(errors?.[0]?.extensions.code).toBe('tenant.not_found');
  });
});

describe('bootstrapOperator', () => {
  const BOOTSTRAP = 'mutation ($input: BootstrapOperatorInput!) { bootstrapOperator(input: $input) { isNew person { email role } } }';
  const first = { input: { email: 'Root@platform.example', name: 'Root', password: PASSWORD } };

  it('is for the command line of the platform alone', async () => {
    for (const [principal, caller] of [
      [operator, 'gateway'],
      [servicePrincipal('gateway'), 'gateway'],
      [servicePrincipal('worker'), 'worker'],
    ] as const) {
      expect((await auth.graphql(principal, BOOTSTRAP, first, caller)).errors?.[0]?.extensions.code).toBe('access.forbidden');
    }
    // Who speaks for somebody else does not even come in.
    for (const [principal, caller] of [
      [operator, 'weir'],
      [launcher, 'gateway'],
      [launcher, 'worker'],
    ] as const) {
      expect(await auth.graphql(principal, BOOTSTRAP, first, caller)).toMatchObject({ error: { code: 'auth.internal_token' } });
    }
  });

  it('makes one operator however often and however simultaneously it is asked, and no second one', async () => {
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => auth.graphql<{ bootstrapOperator: { isNew: boolean } }>(launcher, BOOTSTRAP, first, 'weir')),
    );
    expect(answers.flatMap(({ errors }) => errors ?? [])).toEqual([]);
    expect(answers.filter(({ data }) => data?.bootstrapOperator.isNew)).toHaveLength(1);
    expect(answers[0]?.data).toMatchObject({ bootstrapOperator: { person: { email: 'root@platform.example', role: 'OPERATOR' } } });
    const second = await auth.graphql(launcher, BOOTSTRAP, { input: { ...first.input, email: 'second@platform.example' } }, 'weir');
    expect(second.errors?.[0]?.extensions.code).toBe('access.forbidden');
    expect(await (await signIn(auth, 'root@platform.example', PASSWORD)).json()).toMatchObject({
      tenant: { id: 'platform' },
      person: { role: 'operator' },
    });
  });
});

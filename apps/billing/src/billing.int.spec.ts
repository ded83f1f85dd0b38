import {
  entitlementChanged,
  entitlementSchema,
  priceListPublished,
  priceListSchema,
  tenantChanged,
  usageRolled,
  type Entitlement,
  type PriceList,
  type UsageRolled,
} from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { projectionOf, toRecord, type BusRecord, type Projection } from '@weir/platform/bus';
import { expectSubgraphIsCurrent } from '@weir/platform/graphql';
import { createLogger } from '@weir/platform/telemetry';
import { aPrincipal, anOperator, eventually, startTestService, TestClock, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BILLING_RESOLVERS, BillingModule } from './billing.module.ts';

const clock = new TestClock('2026-03-14T12:00:00Z');
const operator = anOperator();
const owner = (tenantId: string) => aPrincipal({ tenantId });

let service: TestService;
let told: Projection<{ readonly lists: typeof priceListPublished; readonly entitlements: typeof entitlementChanged }>;

beforeAll(async () => {
  service = await startTestService({ name: 'billing', module: BillingModule, settings: {} }, { clock });
  await service.bus.send(
    tenantChanged.topic,
    ['acme', 'globex', 'initech', 'hooli', 'umbrella', 'stark', 'wayne', 'wonka'].map((slug) =>
      toRecord(
        tenantChanged,
        { id: slug, slug, displayName: slug, status: 'active' },
        { id: systemIds.next(), source: 'auth', tenant: slug, occurredAt: '2026-03-01T00:00:00Z' },
      ),
    ),
  );
  told = await projectionOf({
    bus: service.bus,
    logger: createLogger({ service: 'billing', instanceId: 'spec', level: 'silent' }),
    events: { lists: priceListPublished, entitlements: entitlementChanged },
  });
});
afterAll(async () => {
  await told.close();
  await service.close();
});

const RATES = [
  { model: '*', meter: 'requests', unitAmount: '0.0005', per: 1 },
  { model: 'sentiment', meter: 'input-tokens', unitAmount: '0.20', per: 1_000_000 },
];

async function ask<T>(principal: ReturnType<typeof owner>, document: string, variables: Record<string, unknown> = {}): Promise<T> {
  const { data, errors } = await service.graphql<T>(principal, document, variables);
  expect(errors).toBeUndefined();
  if (data === null || data === undefined) throw new Error('no data');
  return data;
}

async function refusedWith(
  principal: ReturnType<typeof owner>,
  document: string,
  variables: Record<string, unknown> = {},
): Promise<{ code: string; field?: string }> {
  const { errors } = await service.graphql(principal, document, variables);
  const [error] = errors ?? [];
  if (error === undefined) throw new Error('it was not refused');
  return error.extensions;
}

const CREATE_PLAN = `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id code displayName currency models priceList { id currency effectiveFrom rates { model meter unitAmount per } } } } }`;
const PUBLISH = `mutation ($input: PublishPriceListInput!) { publishPriceList(input: $input) { priceList { id effectiveFrom rates { model meter unitAmount per } } } }`;
const SUBSCRIBE = `mutation ($input: SubscribeInput!) { subscribe(input: $input) { subscription { id plan { code } startedAt endedAt } } }`;
const SUBSCRIBE_TENANT = `mutation ($input: SubscribeTenantInput!) { subscribeTenant(input: $input) { subscription { id plan { code priceList { id } } } } }`;
const END = `mutation ($input: EndSubscriptionInput!) { endSubscription(input: $input) { subscription { id endedAt } } }`;
const SUBSCRIPTION = `{ subscription { id plan { code displayName } startedAt endedAt } }`;
const INVOICES = `query ($first: Int, $after: String) { invoices(first: $first, after: $after) { nodes {
  id number status periodStart periodEnd currency usageThrough
  lines { model meter description quantity unitAmount per amount calls priceListId } total { amount currency } payable { amount currency }
} pageInfo { hasNextPage endCursor } } }`;

function aPlan(code: string, changes: Record<string, unknown> = {}) {
  return { code, displayName: `The ${code} plan`, currency: 'EUR', models: ['*'], rates: RATES, ...changes };
}

async function createPlan(code: string, changes: Record<string, unknown> = {}): Promise<{ id: string; priceList: PriceList }> {
  return (await ask<{ createPlan: { plan: { id: string; priceList: PriceList } } }>(operator, CREATE_PLAN, { input: aPlan(code, changes) }))
    .createPlan.plan;
}

describe('plans and price lists', () => {
  it('are made by the operator, seen by every tenant, and told to the gateway', async () => {
    const { id, priceList } = await createPlan('starter');
    const { plans } = await ask<{ plans: { nodes: unknown[] } }>(
      aPrincipal({ tenantId: 'globex', scopes: ['models.read'] }),
      `{ plans { nodes { id code displayName currency models priceList { id rates { model meter unitAmount per } } } } }`,
    );
    expect(plans.nodes).toContainEqual({
      id,
      code: 'starter',
      displayName: 'The starter plan',
      currency: 'EUR',
      models: ['*'],
      priceList: { id: priceList.id, rates: RATES },
    });
    const list = await eventually(() => told.maps.lists.get(priceList.id));
    expect(priceListSchema.parse(list)).toEqual({
      id: priceList.id,
      planId: id,
      currency: 'EUR',
      effectiveFrom: '2026-03-14T12:00:00.000Z',
      rates: RATES,
    });
  });

  it('are priced anew by a further list, from its moment on; the lists before stay as they are', async () => {
    const { priceList: first } = await createPlan('growing');
    const rates = [{ model: '*', meter: 'requests', unitAmount: '0.0004', per: 1 }];
    const { publishPriceList } = await ask<{ publishPriceList: { priceList: PriceList } }>(operator, PUBLISH, {
      input: { planCode: 'growing', effectiveFrom: '2026-03-14T13:00:00Z', rates },
    });
    const current = async () =>
      (
        await ask<{ plans: { nodes: { code: string; priceList: { id: string } }[] } }>(
          owner('acme'),
          `{ plans(first: 100) { nodes { code priceList { id } } } }`,
        )
      ).plans.nodes.find((plan) => plan.code === 'growing')?.priceList.id;
    expect(await current()).toBe(first.id);
    clock.advance(3_600_000);
    expect(await current()).toBe(publishPriceList.priceList.id);
    expect((await eventually(() => told.maps.lists.get(publishPriceList.priceList.id))).rates).toEqual(rates);
    expect(told.maps.lists.get(first.id)?.rates).toEqual(RATES);
  });

  it('come in pages by code', async () => {
    await createPlan('a-first');
    const page = `query ($after: String) { plans(first: 1, after: $after) { nodes { code } pageInfo { hasNextPage endCursor } } }`;
    type Page = { plans: { nodes: { code: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } };
    const codes: string[] = [];
    let after: string | null = null;
    for (;;) {
      const { plans }: Page = await ask<Page>(owner('acme'), page, { after });
      codes.push(...plans.nodes.map((plan) => plan.code));
      if (!plans.pageInfo.hasNextPage) break;
      after = plans.pageInfo.endCursor;
    }
    expect(codes).toEqual(codes.toSorted());
    expect(codes).toContain('a-first');
  });

  it('cannot be changed in the database either', async () => {
    const { priceList } = await createPlan('fixed');
    const { Client } = (await import('pg')).default;
    const client = new Client({ connectionString: service.database.urlOf('billing'), options: '-c search_path=billing' });
    await client.connect();
    try {
      await client.query(`select set_config('app.tenant', '*', false)`);
      await expect(client.query(`update price_lists set rates = '[]' where id = $1`, [priceList.id])).rejects.toThrow(/never changed/);
      await expect(client.query('delete from price_lists where id = $1', [priceList.id])).rejects.toThrow(/never changed/);
      await expect(client.query('truncate price_lists')).rejects.toThrow(/never changed/);
    } finally {
      await client.end();
    }
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a code with spaces', { code: 'my plan' }, 'input.code'],
    ['no name', { displayName: ' ' }, 'input.displayName'],
    ['a currency that is none', { currency: 'XQX' }, 'input.currency'],
    ['no model', { models: [] }, 'input.models'],
    ['a model name that is none', { models: ['*', 'No!'] }, 'input.models[1]'],
    ['a model twice', { models: ['digits', 'digits'], rates: RATES }, 'input.models'],
    ['a named model without a price', { models: ['digits'], rates: [RATES[1]] }, 'input.rates'],
    ['no rate', { rates: [] }, 'input.rates'],
    ['a meter that is none', { rates: [{ ...RATES[0], meter: 'seconds' }] }, 'input.rates[0].meter'],
    ['a price that is no number', { rates: [RATES[1], { ...RATES[0], unitAmount: '1e3' }] }, 'input.rates[1].unitAmount'],
    ['a negative price', { rates: [{ ...RATES[0], unitAmount: '-1' }] }, 'input.rates[0].unitAmount'],
    ['a price with too many digits', { rates: [{ ...RATES[0], unitAmount: '0.0000000000001' }] }, 'input.rates[0].unitAmount'],
    ['a per that does not divide exactly', { rates: [{ ...RATES[0], per: 3 }] }, 'input.rates[0].per'],
    ['two rates for one meter', { rates: [RATES[0], RATES[0]] }, 'input.rates[1]'],
  ])('are refused for %s, naming the field', async (_, changes, field) => {
    expect(await refusedWith(operator, CREATE_PLAN, { input: aPlan('refused', changes) })).toMatchObject({
      code: 'request.invalid',
      field,
    });
  });

  it('are refused for a code that is taken, a plan that is not there, and prices from the past', async () => {
    await createPlan('taken');
    expect(await refusedWith(operator, CREATE_PLAN, { input: aPlan('taken') })).toMatchObject({
      code: 'plan.code_taken',
      field: 'input.code',
    });
    expect(await refusedWith(operator, PUBLISH, { input: { planCode: 'nowhere', rates: RATES } })).toMatchObject({
      code: 'plan.not_found',
      field: 'input.planCode',
    });
    const past = new Date(clock.now() - 1).toISOString();
    expect(await refusedWith(operator, PUBLISH, { input: { planCode: 'taken', effectiveFrom: past, rates: RATES } })).toMatchObject({
      code: 'request.invalid',
      field: 'input.effectiveFrom',
    });
  });
});

describe('plans for named tenants', () => {
  const PLANS = `{ plans(first: 100) { nodes { code isPublic audience } } }`;
  const SET_AUDIENCE = `mutation ($input: SetPlanAudienceInput!) { setPlanAudience(input: $input) { plan { code isPublic audience } } }`;
  const offeredTo = async (principal: ReturnType<typeof owner>) =>
    (await ask<{ plans: { nodes: { code: string; isPublic: boolean; audience: string[] | null }[] } }>(principal, PLANS)).plans.nodes;
  const codesFor = async (principal: ReturnType<typeof owner>) => (await offeredTo(principal)).map(({ code }) => code);

  it('are shown to those tenants and to operators, and not to another tenant; no tenant learns for whom else they are', async () => {
    await createPlan('vip', { audience: ['stark', 'wayne'] });
    expect(await offeredTo(owner('stark'))).toContainEqual({ code: 'vip', isPublic: false, audience: null });
    expect(await offeredTo(operator)).toContainEqual({ code: 'vip', isPublic: false, audience: ['stark', 'wayne'] });
    expect(await codesFor(owner('globex'))).not.toContain('vip');
    expect(await codesFor(owner('globex'))).toContain('starter');
  });

  it('are subscribed to by those tenants; for another tenant they are not there, with the same answer as for no plan', async () => {
    const refused = (planCode: string) => service.graphql(owner('globex'), SUBSCRIBE, { input: { planCode } });
    const answer = async (planCode: string) =>
      (await refused(planCode)).errors?.map(({ message, extensions }) => ({ message, ...extensions, requestId: '' }));
    expect(await answer('vip')).toEqual(await answer('no-such-plan'));
    expect(await refusedWith(owner('globex'), SUBSCRIBE, { input: { planCode: 'vip' } })).toMatchObject({ code: 'plan.not_found' });
    await ask(owner('stark'), SUBSCRIBE, { input: { planCode: 'vip' } });
    expect(await ask(owner('stark'), SUBSCRIPTION)).toMatchObject({ subscription: { plan: { code: 'vip' } } });
  });

  it('are assigned by operators to any tenant, which sees what it pays for but is not offered the plan again', async () => {
    await ask(operator, SUBSCRIBE_TENANT, { input: { tenantId: 'wonka', planCode: 'vip' } });
    expect(await ask(owner('wonka'), `{ subscription { plan { code audience priceList { id } } } }`)).toEqual({
      subscription: { plan: { code: 'vip', audience: null, priceList: { id: expect.any(String) } } },
    });
    expect(await codesFor(owner('wonka'))).not.toContain('vip');
    await ask(operator, END, { input: { tenantId: 'wonka' } });
    expect(await refusedWith(owner('wonka'), SUBSCRIBE, { input: { planCode: 'vip' } })).toMatchObject({ code: 'plan.not_found' });
  });

  it('get another audience by the operator alone', async () => {
    await createPlan('pilot', { audience: ['stark'] });
    const to = (audience: string[] | null) => ({ input: { planCode: 'pilot', audience } });
    expect(await refusedWith(owner('stark'), SET_AUDIENCE, to(null))).toMatchObject({ code: 'access.forbidden' });
    expect(await ask(operator, SET_AUDIENCE, to(['wayne']))).toEqual({
      setPlanAudience: { plan: { code: 'pilot', isPublic: false, audience: ['wayne'] } },
    });
    expect([await codesFor(owner('stark')), await codesFor(owner('wayne'))]).toEqual([
      expect.not.arrayContaining(['pilot']),
      expect.arrayContaining(['pilot']),
    ]);
    expect(await ask(operator, SET_AUDIENCE, to(null))).toEqual({
      setPlanAudience: { plan: { code: 'pilot', isPublic: true, audience: null } },
    });
    expect(await codesFor(owner('globex'))).toContain('pilot');
    expect(await refusedWith(operator, SET_AUDIENCE, { input: { planCode: 'nowhere' } })).toMatchObject({
      code: 'plan.not_found',
      field: 'input.planCode',
    });
  });

  it('are refused for no tenant, a tenant twice, or one that is not there, naming the field', async () => {
    const refused = (audience: string[]) => refusedWith(operator, CREATE_PLAN, { input: aPlan('refused', { audience }) });
    expect(await refused([])).toMatchObject({ code: 'request.invalid', field: 'input.audience' });
    expect(await refused(['stark', 'stark'])).toMatchObject({ code: 'request.invalid', field: 'input.audience' });
    expect(await refused(['*'])).toMatchObject({ code: 'request.invalid', field: 'input.audience[0]' });
    expect(await refused(['stark', 'no-such-tenant'])).toMatchObject({ code: 'tenant.not_found', field: 'input.audience[1]' });
  });

  it('are not read without the scope models.read', async () => {
    expect(await refusedWith(aPrincipal({ tenantId: 'stark', scopes: ['infer', 'usage.read', 'invoices.read'] }), PLANS)).toMatchObject({
      code: 'access.forbidden',
    });
  });

  it('are sealed in the database too: a tenant sees neither the plan nor its prices', async () => {
    const { Client } = (await import('pg')).default;
    const client = new Client({ connectionString: service.database.urlOf('billing'), options: '-c search_path=billing' });
    await client.connect();
    try {
      const seenBy = async (tenant: string) => {
        await client.query(`select set_config('app.tenant', $1, false)`, [tenant]);
        const { rows } = await client.query<{ plans: number; lists: number }>(
          `select (select count(*)::int from plans where code = 'vip') as plans,
             (select count(*)::int from price_lists where plan_id not in (select id from plans)) as lists`,
        );
        return rows[0];
      };
      expect(await seenBy('stark')).toEqual({ plans: 1, lists: 0 });
      expect(await seenBy('globex')).toEqual({ plans: 0, lists: 0 });
      expect(await seenBy('')).toEqual({ plans: 0, lists: 0 });
      await client.query(`select set_config('app.tenant', 'globex', false)`);
      expect((await client.query(`update plans set display_name = 'x'`)).rowCount).toBe(0);
    } finally {
      await client.end();
    }
  });
});

describe('subscriptions', () => {
  it('start by the owner, entitle the tenant at the gateway, and are seen by that tenant alone', async () => {
    await createPlan('for-globex');
    const { subscribe } = await ask<{ subscribe: { subscription: { id: string } } }>(owner('globex'), SUBSCRIBE, {
      input: { planCode: 'for-globex' },
    });
    const entitlement: Entitlement = await eventually(() => told.maps.entitlements.get('globex'));
    expect(entitlementSchema.parse(entitlement)).toMatchObject({
      tenantId: 'globex',
      subscriptionId: subscribe.subscription.id,
      currency: 'EUR',
      models: ['*'],
    });
    expect(await ask(owner('globex'), SUBSCRIPTION)).toMatchObject({
      subscription: { id: subscribe.subscription.id, plan: { code: 'for-globex' }, endedAt: null },
    });
    expect(await ask(owner('initech'), SUBSCRIPTION)).toEqual({ subscription: null });
  });

  it('are one for each tenant, also when two are started at the same moment', async () => {
    await createPlan('for-initech');
    const input = { tenantId: 'initech', planCode: 'for-initech' };
    const answers = await Promise.all(Array.from({ length: 6 }, () => service.graphql(operator, SUBSCRIBE_TENANT, { input })));
    expect(answers.filter(({ errors }) => errors === undefined)).toHaveLength(1);
    expect(answers.flatMap(({ errors }) => errors?.map((error) => error.extensions.code) ?? [])).toEqual(
      Array.from({ length: 5 }, () => 'subscription.exists'),
    );
  });

  it('end by the operator: the entitlement goes, and the tenant may subscribe again', async () => {
    await createPlan('for-hooli');
    await ask(operator, SUBSCRIBE_TENANT, { input: { tenantId: 'hooli', planCode: 'for-hooli' } });
    await eventually(() => told.maps.entitlements.get('hooli'));
    const { endSubscription } = await ask<{ endSubscription: { subscription: { endedAt: string } } }>(operator, END, {
      input: { tenantId: 'hooli' },
    });
    expect(endSubscription.subscription.endedAt).toBe(new Date(clock.now()).toISOString());
    await eventually(() => !told.maps.entitlements.has('hooli'));
    expect(await ask(owner('hooli'), SUBSCRIPTION)).toEqual({ subscription: null });
    expect(await refusedWith(operator, END, { input: { tenantId: 'hooli' } })).toMatchObject({
      code: 'subscription.not_found',
      field: 'input.tenantId',
    });
    await ask(owner('hooli'), SUBSCRIBE, { input: { planCode: 'for-hooli' } });
    await eventually(() => told.maps.entitlements.get('hooli'));
  });

  it('wait for a tenant that was made a moment ago', async () => {
    await createPlan('for-newcomer');
    const asked = ask(operator, SUBSCRIBE_TENANT, { input: { tenantId: 'newcomer', planCode: 'for-newcomer' } });
    await service.bus.send(tenantChanged.topic, [
      toRecord(
        tenantChanged,
        { id: 'newcomer', slug: 'newcomer', displayName: 'Newcomer', status: 'active' },
        { id: systemIds.next(), source: 'auth', tenant: 'newcomer', occurredAt: '2026-03-14T12:00:00Z' },
      ),
    ]);
    expect(await asked).toMatchObject({ subscribeTenant: { subscription: { plan: { code: 'for-newcomer' } } } });
  });

  it('are refused for tenants and plans that are not there, naming the field', async () => {
    expect(await refusedWith(operator, SUBSCRIBE_TENANT, { input: { tenantId: 'nobody', planCode: 'starter' } })).toMatchObject({
      code: 'tenant.not_found',
      field: 'input.tenantId',
    });
    expect(await refusedWith(operator, SUBSCRIBE_TENANT, { input: { tenantId: '*', planCode: 'starter' } })).toMatchObject({
      code: 'request.invalid',
      field: 'input.tenantId',
    });
    expect(await refusedWith(owner('umbrella'), SUBSCRIBE, { input: { planCode: 'nowhere' } })).toMatchObject({
      code: 'plan.not_found',
      field: 'input.planCode',
    });
    expect(await refusedWith(owner('umbrella'), SUBSCRIBE, { input: { planCode: 'No Plan' } })).toMatchObject({
      code: 'request.invalid',
      field: 'input.planCode',
    });
  });
});

function aTotal(changes: Partial<UsageRolled>): UsageRolled {
  return {
    tenantId: 'acme',
    hourStart: '2026-03-14T10:00:00Z',
    modelId: 'model-digits',
    model: 'digits',
    meter: 'requests',
    priceListId: 'unknown',
    currency: 'EUR',
    quantity: '3',
    calls: 3,
    revision: 1,
    ...changes,
  };
}

async function tell(...totals: UsageRolled[]): Promise<void> {
  await service.bus.send(
    usageRolled.topic,
    totals.map((total) =>
      toRecord(usageRolled, total, { id: systemIds.next(), source: 'metering/1', tenant: total.tenantId, occurredAt: total.hourStart }),
    ),
  );
}

interface InvoiceNode {
  readonly id: string;
  readonly periodStart: string;
  readonly usageThrough: string | null;
  readonly lines: readonly {
    readonly model: string;
    readonly meter: string;
    readonly quantity: string;
    readonly amount: string;
    readonly calls: number;
    readonly priceListId: string;
  }[];
  readonly total: { readonly amount: string; readonly currency: string };
  readonly payable: { readonly amount: string };
}

async function invoicesOf(tenantId: string, variables: Record<string, unknown> = {}) {
  return (
    await ask<{ invoices: { nodes: InvoiceNode[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } }>(
      owner(tenantId),
      INVOICES,
      variables,
    )
  ).invoices;
}

describe('the open invoice', () => {
  let priceList: PriceList;
  beforeAll(async () => {
    ({ priceList } = await createPlan('for-acme'));
    await ask(operator, SUBSCRIBE_TENANT, { input: { tenantId: 'acme', planCode: 'for-acme' } });
  });

  it('is there from the start of a subscription, with nothing to pay', async () => {
    expect((await invoicesOf('acme')).nodes).toEqual([
      {
        id: expect.any(String),
        number: null,
        status: 'OPEN',
        periodStart: '2026-03-01T00:00:00.000Z',
        periodEnd: '2026-04-01T00:00:00.000Z',
        currency: 'EUR',
        usageThrough: null,
        lines: [],
        total: { amount: '0', currency: 'EUR' },
        payable: { amount: '0.00', currency: 'EUR' },
      },
    ]);
  });

  it('holds what metering told, rated exactly, free meters included; repeated and overtaken totals change nothing', async () => {
    const tokens = { model: 'sentiment', modelId: 'model-sentiment', meter: 'input-tokens', priceListId: priceList.id } as const;
    await tell(
      aTotal({ priceListId: priceList.id, quantity: '3', revision: 2 }),
      aTotal({ priceListId: priceList.id, quantity: '2', calls: 2, revision: 1 }),
      aTotal({ priceListId: priceList.id, hourStart: '2026-03-14T11:00:00Z', quantity: '4', calls: 4 }),
      aTotal({ priceListId: priceList.id, meter: 'inputs', quantity: '7.5', calls: 3 }),
      aTotal({ ...tokens, quantity: '137', calls: 1 }),
      aTotal({ priceListId: priceList.id, quantity: '3', revision: 2 }),
      aTotal({ priceListId: priceList.id, hourStart: '2026-03-14T11:00:00Z', quantity: '5', calls: 5, revision: 2 }),
      aTotal({ ...tokens, quantity: '1', hourStart: '2026-03-31T23:00:00Z', calls: 1 }),
      aTotal({ ...tokens, quantity: '1000', hourStart: '2026-04-01T00:00:00Z', calls: 1 }),
    );
    await eventually(async () => {
      const march = (await invoicesOf('acme')).nodes.find((invoice) => invoice.periodStart === '2026-03-01T00:00:00.000Z');
      expect(march).toMatchObject({
        usageThrough: '2026-03-31T23:00:00.000Z',
        lines: [
          {
            model: 'digits',
            meter: 'inputs',
            description: 'digits: inputs',
            quantity: '7.5',
            unitAmount: '0',
            per: 1,
            amount: '0',
            calls: 3,
            priceListId: priceList.id,
          },
          {
            model: 'digits',
            meter: 'requests',
            description: 'digits: requests',
            quantity: '8',
            unitAmount: '0.0005',
            per: 1,
            amount: '0.004',
            calls: 8,
            priceListId: priceList.id,
          },
          {
            model: 'sentiment',
            meter: 'input-tokens',
            quantity: '138',
            unitAmount: '0.20',
            per: 1_000_000,
            amount: '0.0000276',
            calls: 2,
            priceListId: priceList.id,
          },
        ],
        total: { amount: '0.0040276', currency: 'EUR' },
        payable: { amount: '0.00', currency: 'EUR' },
      });
      return true;
    });
  });

  it('ignores a total that was overtaken, and is never lowered by one with fewer calls, whatever its revision', async () => {
    const overtaken = { priceListId: priceList.id, model: 'late', modelId: 'model-late' };
    await tell(aTotal({ ...overtaken, quantity: '5', calls: 5, revision: 2 }));
    const late = async () =>
      (await invoicesOf('acme')).nodes.flatMap((invoice) =>
        invoice.lines.filter((line) => line.model === 'late').map((line) => line.quantity),
      );
    await eventually(async () => (await late())[0] === '5');
    await tell(
      aTotal({ ...overtaken, quantity: '4', calls: 4, revision: 1 }),
      aTotal({ ...overtaken, meter: 'inputs', quantity: '1', calls: 1 }),
    );
    await eventually(async () => (await late()).length === 2);
    expect((await late()).toSorted()).toEqual(['1', '5']);
    // A metering that was recreated recounts its log, from revision 1 on.
    await tell(
      aTotal({ ...overtaken, quantity: '3', calls: 3, revision: 9 }),
      aTotal({ ...overtaken, quantity: '6', calls: 6, revision: 1 }),
      aTotal({ ...overtaken, quantity: '5', calls: 5, revision: 7 }),
    );
    await eventually(async () => (await late()).includes('6'));
    await tell(aTotal({ ...overtaken, quantity: '6.5', calls: 6, revision: 10 }));
    await eventually(async () => (await late()).includes('6.5'));
  });

  it('keeps what was used at the prices of its time when a new list is published', async () => {
    const { publishPriceList } = await ask<{ publishPriceList: { priceList: PriceList } }>(operator, PUBLISH, {
      input: { planCode: 'for-acme', rates: [{ model: '*', meter: 'requests', unitAmount: '0.01', per: 1 }] },
    });
    await tell(aTotal({ priceListId: publishPriceList.priceList.id, hourStart: '2026-03-14T11:00:00Z', quantity: '10', calls: 10 }));
    await eventually(async () => {
      const march = (await invoicesOf('acme')).nodes.find((invoice) => invoice.periodStart === '2026-03-01T00:00:00.000Z');
      const requests = march?.lines
        .filter((line) => line.model === 'digits' && line.meter === 'requests')
        .map((line) => [line.priceListId, line.quantity, line.amount]);
      expect(new Set(requests?.map((line) => line.join(' ')))).toEqual(
        new Set([`${priceList.id} 8 0.004`, `${publishPriceList.priceList.id} 10 0.1`]),
      );
      expect(march).toMatchObject({ total: { amount: '0.1072776' }, payable: { amount: '0.11' } });
      return true;
    });
  });

  it('comes newest first, in pages that hold each once, and by its id', async () => {
    const first = await invoicesOf('acme', { first: 1 });
    const second = await invoicesOf('acme', { first: 1, after: first.pageInfo.endCursor });
    expect([...first.nodes, ...second.nodes].map((invoice) => invoice.periodStart)).toEqual([
      '2026-04-01T00:00:00.000Z',
      '2026-03-01T00:00:00.000Z',
    ]);
    expect(second.pageInfo.hasNextPage).toBe(false);
    for (const { id, total } of [...first.nodes, ...second.nodes]) {
      expect(await ask(owner('acme'), `query ($id: ID!) { invoice(id: $id) { id total { amount currency } } }`, { id })).toEqual({
        invoice: { id, total },
      });
    }
  });

  it("is never another tenant's", async () => {
    expect((await invoicesOf('umbrella')).nodes).toEqual([]);
    const [mine] = (await invoicesOf('acme')).nodes;
    for (const id of [mine?.id, 'open-2026-03-USD', 'open-2019-01-EUR', 'open-2026-13-EUR', '\u0000']) {
      const tenant = id === mine?.id ? 'umbrella' : 'acme';
      expect(await refusedWith(owner(tenant), `query ($id: ID!) { invoice(id: $id) { id } }`, { id })).toMatchObject({
        code: 'invoice.not_found',
        field: 'id',
      });
    }
    await tell(aTotal({ tenantId: 'globex', priceListId: priceList.id, quantity: '1', calls: 1 }));
    await eventually(async () => (await invoicesOf('globex')).nodes.some((invoice) => invoice.lines.some((line) => line.quantity === '1')));
    expect(
      (await invoicesOf('acme')).nodes
        .flatMap((invoice) => invoice.lines)
        .some((line) => line.quantity === '1' && line.meter === 'requests'),
    ).toBe(false);
  });

  it.each([
    [{ first: 0 }, 'first'],
    [{ after: 'nonsense' }, 'after'],
    [{ after: Buffer.from('["x"]').toString('base64url') }, 'after'],
    [{ after: Buffer.from('["+275760-09-13T00:00:00.000Z","EUR"]').toString('base64url') }, 'after'],
  ])('refuses the page %j, naming the field', async (variables, field) => {
    expect(await refusedWith(owner('acme'), INVOICES, variables)).toMatchObject({ code: 'request.invalid', field });
  });

  it('does not take in what it cannot price or may not believe; that is dead-lettered, and the rest goes on', async () => {
    const dead: BusRecord[] = [];
    const follower = await service.bus.follow({ topics: ['billing.dead'], apply: (record) => dead.push(record) });
    await tell(
      aTotal({ tenantId: 'umbrella', priceListId: 'unknown' }),
      aTotal({ tenantId: 'umbrella', priceListId: priceList.id, currency: 'USD' }),
    );
    await service.bus.send(usageRolled.topic, [
      toRecord(usageRolled, aTotal({ tenantId: 'umbrella', priceListId: priceList.id }), {
        id: systemIds.next(),
        source: 'metering/1',
        tenant: 'acme',
        occurredAt: '2026-03-14T10:00:00Z',
      }),
    ]);
    await tell(aTotal({ tenantId: 'umbrella', priceListId: priceList.id, quantity: '9', calls: 9 }));
    await eventually(async () => (await invoicesOf('umbrella')).nodes[0]?.lines[0]?.quantity === '9');
    await eventually(() => dead.length === 3);
    expect(dead.map((record) => JSON.stringify(record.headers))).toEqual([
      expect.stringContaining('no such price list'),
      expect.stringContaining('another currency'),
      expect.stringContaining('tenant of the envelope'),
    ]);
    await follower.close();
  });
});

describe('scopes', () => {
  const member = aPrincipal({ scopes: ['infer', 'usage.read'] });
  it.each<[string, ReturnType<typeof owner>, string, Record<string, unknown>]>([
    ['createPlan', owner('acme'), CREATE_PLAN, { input: aPlan('mine') }],
    ['publishPriceList', owner('acme'), PUBLISH, { input: { planCode: 'starter', rates: RATES } }],
    ['subscribeTenant', owner('acme'), SUBSCRIBE_TENANT, { input: { tenantId: 'globex', planCode: 'starter' } }],
    ['endSubscription', owner('acme'), END, { input: { tenantId: 'globex' } }],
    ['subscribe', member, SUBSCRIBE, { input: { planCode: 'starter' } }],
    ['subscription', member, SUBSCRIPTION, {}],
    ['invoices', member, INVOICES, {}],
    ['invoice', member, `{ invoice(id: "open-2026-03-EUR") { id } }`, {}],
  ])('%s is refused to a credential without its scope', async (_, principal, document, variables) => {
    expect(await refusedWith(principal, document, variables)).toMatchObject({ code: 'access.forbidden' });
  });
});

describe('the subgraph', () => {
  it('is committed as the resolvers say', async () => {
    await expectSubgraphIsCurrent('billing', BILLING_RESOLVERS);
  });
});

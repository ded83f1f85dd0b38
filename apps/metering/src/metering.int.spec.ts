import { aPrincipal, anOperator, eventually, startTestService, type TestService } from '@weir/testing';
import { usageRecorded, usageRolled, type EventEnvelope, type Usage, type UsageRolled } from '@weir/contracts';
import { DEAD_LETTER_HEADERS, eventTypeOf, parseRecord, toRecord, type BusRecord } from '@weir/platform/bus';
import { expectSubgraphIsCurrent } from '@weir/platform/graphql';
import { sumAmounts } from '@weir/pricing';
import { TestClock } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METERING_RESOLVERS, MeteringModule } from './metering.module.ts';
import { meteringSettings } from './settings.ts';
import { aUsageEvent } from './usage-event.fixture.ts';

const clock = new TestClock('2026-03-01T12:30:00Z');
const acme = aPrincipal({ tenantId: 'acme', scopes: ['usage.read'] });
const globex = aPrincipal({ tenantId: 'globex', scopes: ['usage.read'] });

let service: TestService;

async function send(events: readonly EventEnvelope<Usage>[]): Promise<void> {
  await service.bus.send(
    usageRecorded.topic,
    events.map((event) => toRecord(usageRecorded, event.data, event)),
  );
}

async function isRecorded(tenantId: string, calls: number): Promise<void> {
  await eventually(
    async () => {
      const { data } = await service.graphql<{ meteringReconciliation: { calls: number; isReconciled: boolean } }>(
        anOperator(),
        `query ($tenantId: ID!) { meteringReconciliation(tenantId: $tenantId) { calls isReconciled differences { sums meter ledgerQuantity summedQuantity } } }`,
        { tenantId },
      );
      expect(data?.meteringReconciliation).toEqual({ calls, isReconciled: true, differences: [] });
      return true;
    },
    { timeoutMs: 15_000 },
  );
}

/** Ten calls of acme: five an hour, two models, two keys. */
const CALLS = Array.from({ length: 10 }, (_, index) =>
  aUsageEvent({
    receiptId: `r-${index}`,
    occurredAt: `2026-03-01T${index < 5 ? '10' : '11'}:0${index % 5}:00.000Z`,
    model: index % 2 === 0 ? 'digits' : 'sentiment',
    modelId: index % 2 === 0 ? 'model-digits' : 'model-sentiment',
    principalId: index < 3 ? 'key-1' : 'key-2',
    quantities: [
      { meter: 'requests', quantity: '1', amount: '0.001' },
      { meter: 'inputs', quantity: '2', amount: '0.0002' },
    ],
    cost: { amount: '0.0012', currency: 'EUR' },
  }),
);

beforeAll(async () => {
  service = await startTestService({ name: 'metering', module: MeteringModule, settings: meteringSettings }, { clock });
  await send([...CALLS, aUsageEvent({ tenantId: 'globex', receiptId: 'r-globex', occurredAt: '2026-03-01T10:00:00Z' })]);
  await isRecorded('acme', 10);
  await isRecorded('globex', 1);
});
afterAll(() => service.close());

interface UsageData {
  readonly usage: {
    readonly nodes: readonly {
      readonly bucketStart: string;
      readonly model: string | null;
      readonly principalId: string | null;
      readonly meter: string | null;
      readonly quantity: string | null;
      readonly calls: number;
      readonly cost: { readonly amount: string };
    }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
    readonly totals: {
      readonly calls: number;
      readonly costs: readonly { readonly amount: string; readonly currency: string }[];
      readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
    };
  };
}

const USAGE = `query ($filter: UsageFilter, $groupBy: [UsageDimension!], $first: Int, $after: String) {
  usage(filter: $filter, groupBy: $groupBy, first: $first, after: $after) {
    nodes { bucketStart model principalKind principalId meter quantity calls cost { amount currency } }
    pageInfo { hasNextPage endCursor }
    totals { calls costs { amount currency } quantities { meter quantity } }
  }
}`;

async function usage(variables: Record<string, unknown>, principal = acme): Promise<UsageData['usage']> {
  const { data, errors } = await service.graphql<UsageData>(principal, USAGE, variables);
  expect(errors).toBeUndefined();
  if (data === null || data === undefined) throw new Error('no data');
  return data.usage;
}

const DAY = { from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00Z' };
const TOTALS = {
  calls: 10,
  costs: [{ amount: '0.012', currency: 'EUR' }],
  quantities: [
    { meter: 'inputs', quantity: '20' },
    { meter: 'requests', quantity: '10' },
  ],
};

describe('usage', () => {
  it('is the last day by the hour, newest first, kept apart by everything, when nothing is asked', async () => {
    const { nodes, totals } = await usage({});
    expect(totals).toEqual(TOTALS);
    expect(nodes[0]).toEqual({
      bucketStart: '2026-03-01T11:00:00.000Z',
      model: 'digits',
      principalKind: 'api-key',
      principalId: 'key-2',
      meter: 'inputs',
      quantity: '4',
      calls: 2,
      cost: { amount: '0.0004', currency: 'EUR' },
    });
    expect(sumAmounts(nodes.map((node) => node.cost.amount))).toBe('0.012');
  });

  it('counts each call once when rows are not kept apart by meter, and then adds no units of different meters', async () => {
    const { nodes } = await usage({ filter: { ...DAY, grain: 'DAY' }, groupBy: ['MODEL'] });
    expect(
      nodes.map(({ model, calls, quantity, meter, principalId, cost }) => [model, calls, quantity, meter, principalId, cost.amount]),
    ).toEqual([
      ['digits', 5, null, null, null, '0.006'],
      ['sentiment', 5, null, null, null, '0.006'],
    ]);
    const [all] = (await usage({ filter: { ...DAY, grain: 'DAY' }, groupBy: [] })).nodes;
    expect(all).toMatchObject({ calls: 10, cost: { amount: '0.012' } });
  });

  it('can be asked for one model, one key, a range and a finer grain', async () => {
    const { nodes, totals } = await usage({
      filter: { from: '2026-03-01T10:00:30Z', to: '2026-03-01T10:03:00Z', grain: 'MINUTE', principalId: 'key-1', model: 'sentiment' },
      groupBy: ['METER'],
    });
    expect(nodes.map((node) => [node.bucketStart, node.meter, node.quantity])).toEqual([
      ['2026-03-01T10:01:00.000Z', 'inputs', '2'],
      ['2026-03-01T10:01:00.000Z', 'requests', '1'],
    ]);
    expect(totals.calls).toBe(1);
  });

  it('comes in pages that hold every row once, with totals of the whole', async () => {
    const whole = await usage({ filter: DAY, first: 100 });
    const seen: unknown[] = [];
    let after: string | null = null;
    for (;;) {
      const page: UsageData['usage'] = await usage({ filter: DAY, first: 3, after });
      seen.push(...page.nodes);
      expect(page.totals).toEqual(TOTALS);
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen).toEqual(whole.nodes);
    expect(seen.length).toBeGreaterThan(6);
  });

  it("never shows another tenant's", async () => {
    expect((await usage({ filter: DAY }, globex)).totals).toMatchObject({ calls: 1, costs: [{ amount: '0.00062', currency: 'EUR' }] });
    expect((await usage({ filter: DAY }, aPrincipal({ tenantId: 'initech' }))).nodes).toEqual([]);
  });

  it.each([
    ['a minute range over 7 days', { from: '2026-02-20T00:00:00Z', to: '2026-03-01T00:00:00Z', grain: 'MINUTE' }, 'filter.from'],
    ['an hour range over a year', { from: '2024-02-20T00:00:00Z', to: '2026-03-01T00:00:00Z', grain: 'HOUR' }, 'filter.from'],
    ['an empty range', { from: '2026-03-01T00:00:00Z', to: '2026-02-01T00:00:00Z' }, 'filter.from'],
    ['a model that no name can be', { model: '\u0000' }, 'filter.model'],
    ['a key that no id can be', { principalId: 'x'.repeat(201) }, 'filter.principalId'],
  ])('is refused for %s, naming the field', async (_, filter, field) => {
    const { errors } = await service.graphql(acme, USAGE, { filter });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field });
  });

  it.each([
    [{ first: 0 }, 'first'],
    [{ first: 101 }, 'first'],
    [{ after: 'nonsense' }, 'after'],
    [{ after: Buffer.from('["2026-03-01T11:00:00.000Z"]').toString('base64url') }, 'after'],
    [{ after: Buffer.from('["+275760-09-13T00:00:00.000Z","EUR","m","k","p","t"]').toString('base64url') }, 'after'],
  ])('refuses the page %j, naming the field', async (variables, field) => {
    const { errors } = await service.graphql(acme, USAGE, variables);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field });
  });

  it('accepts exactly seven days of minutes', async () => {
    expect((await usage({ filter: { from: '2026-02-23T00:00:00Z', to: '2026-03-02T00:00:00Z', grain: 'MINUTE' } })).totals.calls).toBe(10);
  });
});

const RECEIPT = `query ($id: ID!) { receipt(id: $id) { id occurredAt model version surface principalKind principalId quantities { meter quantity } priceListId cost { amount currency } latencyMs outcome } }`;
const RECEIPTS = `query ($first: Int, $after: String, $model: String, $principalId: String, $from: DateTime, $to: DateTime) {
  receipts(first: $first, after: $after, model: $model, principalId: $principalId, from: $from, to: $to) { nodes { id } pageInfo { hasNextPage endCursor } }
}`;

async function receiptIds(variables: Record<string, unknown>, principal = acme) {
  const { data } = await service.graphql<{
    receipts: { nodes: { id: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
  }>(principal, RECEIPTS, variables);
  if (data === null || data === undefined) throw new Error('no data');
  return { ids: data.receipts.nodes.map((node) => node.id), pageInfo: data.receipts.pageInfo };
}

describe('receipts', () => {
  it('show a call as it was answered', async () => {
    const { data } = await service.graphql(acme, RECEIPT, { id: 'r-3' });
    expect(data).toEqual({
      receipt: {
        id: 'r-3',
        occurredAt: '2026-03-01T10:03:00.000Z',
        model: 'sentiment',
        version: '1',
        surface: 'graphql',
        principalKind: 'api-key',
        principalId: 'key-2',
        quantities: [
          { meter: 'requests', quantity: '1' },
          { meter: 'inputs', quantity: '2' },
        ],
        priceListId: 'list-1',
        cost: { amount: '0.0012', currency: 'EUR' },
        latencyMs: 12.5,
        outcome: 'ANSWERED',
      },
    });
  });

  it('keep every digit of the cost', async () => {
    const amount = `1234567890123456789.${'0'.repeat(20)}1234567890123456789`;
    await send([aUsageEvent({ tenantId: 'umbrella', receiptId: 'r-long', cost: { amount, currency: 'EUR' } })]);
    await isRecorded('umbrella', 1);
    const { data } = await service.graphql(aPrincipal({ tenantId: 'umbrella' }), RECEIPT, { id: 'r-long' });
    expect(data).toMatchObject({ receipt: { cost: { amount } } });
    const { totals } = await usage({ filter: { from: '2026-03-01T00:00:00Z' } }, aPrincipal({ tenantId: 'umbrella' }));
    expect(totals.costs).toEqual([{ amount, currency: 'EUR' }]);
  });

  it('say how a call ended that was interrupted after it had begun to run', async () => {
    await send([
      aUsageEvent({ tenantId: 'soylent', receiptId: 'r-timed-out', outcome: 'timed_out' }),
      aUsageEvent({ tenantId: 'soylent', receiptId: 'r-cancelled', outcome: 'cancelled' }),
    ]);
    await isRecorded('soylent', 2);
    const outcomeOf = async (id: string): Promise<unknown> =>
      (await service.graphql<{ receipt: { outcome: string } }>(aPrincipal({ tenantId: 'soylent' }), RECEIPT, { id })).data?.receipt.outcome;
    expect([await outcomeOf('r-timed-out'), await outcomeOf('r-cancelled')]).toEqual(['TIMED_OUT', 'CANCELLED']);
  });

  it('of another tenant, and of no call, are not found', async () => {
    for (const [principal, id] of [
      [acme, 'r-globex'],
      [globex, 'r-3'],
      [acme, 'nothing'],
      [acme, '\u0000'],
    ] as const) {
      const { errors } = await service.graphql(principal, RECEIPT, { id });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'receipt.not_found', kind: 'not_found' });
    }
    expect((await receiptIds({}, globex)).ids).toEqual(['r-globex']);
  });

  it('are listed newest first, in pages that hold each once', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const page: Awaited<ReturnType<typeof receiptIds>> = await receiptIds({ first: 4, after });
      seen.push(...page.ids);
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen).toEqual(CALLS.map((call) => call.data.receiptId).toReversed());
  });

  it('of the same moment are each in one page, also where the page ends between them', async () => {
    const ids = Array.from({ length: 7 }, (_, index) => `r-same-${index}`);
    await send(ids.map((receiptId) => aUsageEvent({ tenantId: 'wayne', receiptId, occurredAt: '2026-03-01T10:00:00Z' })));
    await isRecorded('wayne', ids.length);
    const wayne = aPrincipal({ tenantId: 'wayne', scopes: ['usage.read'] });
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const page: Awaited<ReturnType<typeof receiptIds>> = await receiptIds({ first: 2, after }, wayne);
      seen.push(...page.ids);
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen).toEqual(ids.toReversed());
  });

  it('can be asked for by model, key and time', async () => {
    expect(
      (await receiptIds({ model: 'digits', principalId: 'key-2', from: '2026-03-01T10:04:00Z', to: '2026-03-01T11:03:00Z' })).ids,
    ).toEqual(['r-6', 'r-4']);
  });

  it('refuse a range without length, naming the field', async () => {
    const { errors } = await service.graphql(acme, RECEIPTS, { from: '2026-03-01T10:00:00Z', to: '2026-03-01T10:00:00Z' });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field: 'from' });
  });
});

describe('scopes', () => {
  it.each([
    ['usage', `{ usage { totals { calls } } }`, aPrincipal({ scopes: ['infer'] })],
    ['receipt', `{ receipt(id: "r-1") { id } }`, aPrincipal({ scopes: ['infer'] })],
    ['receipts', `{ receipts { nodes { id } } }`, aPrincipal({ scopes: ['infer'] })],
    ['meteringReconciliation', `{ meteringReconciliation(tenantId: "acme") { calls } }`, aPrincipal()],
  ])('%s is refused to a credential without its scope', async (_, document, principal) => {
    const { errors } = await service.graphql(principal, document);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'access.forbidden' });
  });

  it('do not let the operator reconcile what is no tenant', async () => {
    const { errors } = await service.graphql(anOperator(), `{ meteringReconciliation(tenantId: "*") { calls } }`);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field: 'tenantId' });
  });
});

describe('the pipeline', () => {
  it('dead-letters what can never be recorded and goes on behind it', async () => {
    const foreign = { ...aUsageEvent({ tenantId: 'hooli' }), tenant: 'acme' };
    await send([foreign, aUsageEvent({ tenantId: 'hooli' })]);
    await isRecorded('hooli', 1);
    const dead: BusRecord[] = [];
    const follower = await service.bus.follow({ topics: ['metering.dead'], apply: (record) => dead.push(record) });
    await eventually(() => dead.length > 0);
    await follower.close();
    expect(dead).toHaveLength(1);
    expect(JSON.stringify(dead[0]?.headers)).toContain('the tenant of the envelope');
    expect(Object.values(DEAD_LETTER_HEADERS).some((header) => dead[0]?.headers[header] !== undefined)).toBe(true);
  });

  it('tells billing the totals of each hour over the bus', async () => {
    const latest = new Map<string, UsageRolled>();
    const follower = await service.bus.follow({
      topics: [usageRolled.topic],
      apply: (record) => {
        if (eventTypeOf(record) !== usageRolled.type) return;
        const { data } = parseRecord(usageRolled, record);
        const key = `${data.tenantId} ${data.hourStart} ${data.model} ${data.meter}`;
        if (data.revision > (latest.get(key)?.revision ?? 0)) latest.set(key, data);
      },
    });
    await eventually(() => {
      expect(latest.get('acme 2026-03-01T10:00:00Z digits inputs')).toMatchObject({
        quantity: '6',
        calls: 3,
        priceListId: 'list-1',
        currency: 'EUR',
      });
      expect(latest.get('acme 2026-03-01T11:00:00Z sentiment requests')).toMatchObject({ quantity: '3', calls: 3 });
      return true;
    });
    await follower.close();
  });
});

describe('the subgraph', () => {
  it('is committed as the resolvers say', async () => {
    await expectSubgraphIsCurrent('metering', METERING_RESOLVERS);
  });
});

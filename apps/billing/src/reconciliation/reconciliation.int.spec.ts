import { periodTotalled, usageMismatched, usageRolled, type PeriodTotal, type UsageMismatched, type UsageRolled } from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { toRecord, type BusRecord } from '@weir/platform/bus';
import { aPrincipal, anOperator, eventually, startTestService, TestClock, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BillingModule } from '../billing.module.ts';

const MARCH = '2026-03-01T00:00:00.000Z';
const THROUGH = '2026-03-14T11:00:00.000Z';

let service: TestService;
let priceListId: string;
let mismatches: ReadonlyMap<string, UsageMismatched>;
const logged: string[] = [];

beforeAll(async () => {
  service = await startTestService(
    { name: 'billing', module: BillingModule, settings: {} },
    { clock: new TestClock('2026-03-14T12:00:00Z'), onLogLine: (line) => logged.push(line) },
  );
  ({ mismatches } = await service.project({ mismatches: usageMismatched }));
  const rates = [{ model: '*', meter: 'requests', unitAmount: '0.0005', per: 1 }];
  const { data } = await service.graphql<{ createPlan: { plan: { priceList: { id: string } } } }>(
    anOperator(),
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { priceList { id } } } }`,
    { input: { code: 'starter', displayName: 'Starter', currency: 'EUR', models: ['*'], rates } },
  );
  priceListId = data?.createPlan.plan.priceList.id ?? '';
});
afterAll(() => service.close());

const sumOf = (tenantId: string, calls: number, over: Partial<UsageRolled> = {}): UsageRolled => ({
  tenantId,
  hourStart: '2026-03-14T10:00:00Z',
  modelId: 'model-digits',
  model: 'digits',
  meter: 'requests',
  priceListId,
  currency: 'EUR',
  quantity: String(calls),
  calls,
  revision: 1,
  ...over,
});

const envelope = (tenant: string, occurredAt: string) => ({ id: systemIds.next(), source: 'metering/1', tenant, occurredAt });

async function tell(...sums: UsageRolled[]): Promise<void> {
  await service.bus.send(
    usageRolled.topic,
    sums.map((sum) => toRecord(usageRolled, sum, envelope(sum.tenantId, sum.hourStart))),
  );
}

let minutes = 0;
/** The totals of March, each stated a minute after the ones before. */
async function state(
  tenantId: string,
  calls: number | null,
  changes: { periodStart?: string; envelopeTenant?: string } = {},
): Promise<void> {
  const requests: PeriodTotal[] =
    calls === null ? [] : [{ meter: 'requests', priceListId, currency: 'EUR', quantity: String(calls), calls }];
  const data = { tenantId, periodStart: changes.periodStart ?? MARCH, through: THROUGH, totals: requests };
  const at = new Date(Date.UTC(2026, 2, 14, 12, minutes++)).toISOString();
  await service.bus.send(periodTotalled.topic, [toRecord(periodTotalled, data, envelope(changes.envelopeTenant ?? tenantId, at))]);
}

interface Period {
  readonly tenantId: string;
  readonly isReconciled: boolean;
  readonly unequalSince: string | null;
  readonly statedAt: string;
  readonly differences: readonly { readonly meteredCalls: number; readonly billedCalls: number }[];
}

const FIND = `query ($tenantId: ID) { billingReconciliation(tenantId: $tenantId) {
  tenantId periodStart through statedAt isReconciled unequalSince
  differences { meter priceListId currency meteredQuantity billedQuantity meteredCalls billedCalls }
} }`;

async function find(tenantId: string | null): Promise<readonly Period[]> {
  const { data, errors } = await service.graphql<{ billingReconciliation: Period[] }>(anOperator(), FIND, { tenantId });
  expect(errors).toBeUndefined();
  return data?.billingReconciliation ?? [];
}

async function metric(name: string): Promise<number> {
  const text = await (await service.request('/metrics', { principal: null })).text();
  return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, 'm').exec(text)?.[1]);
}

describe('the sums of a month', () => {
  it('agree with what metering counted, of the hours that were compared alone', async () => {
    await tell(sumOf('acme', 3), sumOf('acme', 4, { hourStart: '2026-03-14T11:00:00Z' }));
    await state('acme', 3);
    await eventually(async () => (await find('acme')).length === 1);
    expect(await find('acme')).toEqual([
      {
        tenantId: 'acme',
        periodStart: MARCH,
        through: THROUGH,
        statedAt: expect.any(String),
        isReconciled: true,
        unequalSince: null,
        differences: [],
      },
    ]);
    expect(await metric('weir_billing_unreconciled_periods')).toBe(0);
    expect(await metric('weir_billing_reconciled_at_seconds')).toBe(Date.UTC(2026, 2, 14, 12, minutes - 1) / 1000);
  });

  it('that are not what metering counted raise the alarm and are told to metering, until they agree', async () => {
    await tell(sumOf('globex', 5));
    await state('globex', 8);
    const [period] = await eventually(async () => {
      const found = await find('globex');
      return found.length === 1 ? found : undefined;
    });
    const since = Date.UTC(2026, 2, 14, 12, minutes - 1);
    expect(period).toMatchObject({
      isReconciled: false,
      unequalSince: new Date(since).toISOString(),
      differences: [
        { meter: 'requests', priceListId, currency: 'EUR', meteredQuantity: '8', billedQuantity: '5', meteredCalls: 8, billedCalls: 5 },
      ],
    });
    expect(await find(null)).toMatchObject([{ tenantId: 'globex' }]);
    expect(await metric('weir_billing_unreconciled_periods')).toBe(1);
    expect(await metric('weir_billing_unreconciled_since_seconds')).toBe(since / 1000);
    await eventually(() => mismatches.get('globex/2026-03'));
    expect(logged.join('\n')).toContain('the sums of a period are not what metering counted');

    // Still unequal: it is so since the first time.
    await tell(sumOf('globex', 7));
    await state('globex', 8);
    await eventually(async () => (await find('globex'))[0]?.differences[0]?.billedCalls === 7);
    expect((await find('globex'))[0]?.unequalSince).toBe(new Date(since).toISOString());

    await tell(sumOf('globex', 8));
    await state('globex', 8);
    await eventually(async () => (await find('globex'))[0]?.isReconciled === true);
    await eventually(() => !mismatches.has('globex/2026-03'));
    expect(await find(null)).toEqual([]);
    expect(await metric('weir_billing_unreconciled_periods')).toBe(0);
  });

  it('that metering does not have at all are shown too', async () => {
    await tell(sumOf('initech', 2));
    await state('initech', null);
    await eventually(async () => (await find('initech'))[0]?.isReconciled === false);
    expect((await find('initech'))[0]?.differences).toMatchObject([{ meteredCalls: 0, billedCalls: 2 }]);
  });

  it('are not compared with totals that metering states for another tenant, or of a time that cannot be', async () => {
    const dead: BusRecord[] = [];
    const follower = await service.bus.follow({ topics: ['billing.dead'], apply: (record) => dead.push(record) });
    await state('hooli', 1, { envelopeTenant: 'acme' });
    await state('hooli', 1, { periodStart: '1999-01-01T00:00:00Z' });
    await state('hooli', null);
    await eventually(() => dead.length === 2);
    await follower.close();
    expect(dead.map((record) => JSON.stringify(record.headers))).toEqual([
      expect.stringContaining('tenant of the envelope'),
      expect.stringContaining('before 2020'),
    ]);
    await eventually(async () => (await find('hooli'))[0]?.isReconciled === true);
  });
});

describe('what an operator asks', () => {
  it.each([
    ['a tenant’s owner, of another tenant', aPrincipal({ tenantId: 'acme' }), 'globex'],
    ['a tenant’s owner, of its own', aPrincipal({ tenantId: 'acme' }), 'acme'],
    ['a key', aPrincipal({ tenantId: 'acme', scopes: ['infer', 'usage.read'] }), null],
  ])('is refused to %s', async (_, principal, tenantId) => {
    const { errors } = await service.graphql(principal, FIND, { tenantId });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'access.forbidden' });
  });

  it.each([[''], ['*'], ['\u0000'], ['x'.repeat(65)]])('of %j, which is no tenant, is refused', async (tenantId) => {
    const { errors } = await service.graphql(anOperator(), FIND, { tenantId });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field: 'tenantId' });
  });

  it('of a tenant without usage is answered with nothing', async () => {
    expect(await find('nobody')).toEqual([]);
  });
});

import {
  periodTotalled,
  usageMismatched,
  usageMismatchKey,
  usageRecorded,
  usageRolled,
  type PeriodTotalled,
  type UsageRolled,
} from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { eventTypeOf, parseRecord, toRecord, type BusRecord, type Follower } from '@weir/platform/bus';
import { eventually, startTestService, TestClock, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MeteringModule } from '../metering.module.ts';
import { meteringSettings } from '../settings.ts';
import { aUsageEvent } from '../usage-event.fixture.ts';

const clock = new TestClock('2026-03-01T12:30:00Z');
const MARCH = '2026-03-01T00:00:00.000Z';

let service: TestService;
let follower: Follower;
const told: BusRecord[] = [];

const totalsOf = (tenantId: string): PeriodTotalled[] =>
  told
    .filter((record) => eventTypeOf(record) === periodTotalled.type)
    .map((record) => parseRecord(periodTotalled, record).data)
    .filter((totals) => totals.tenantId === tenantId);
const rolledOf = (tenantId: string): UsageRolled[] =>
  told
    .filter((record) => eventTypeOf(record) === usageRolled.type)
    .map((record) => parseRecord(usageRolled, record).data)
    .filter((sum) => sum.tenantId === tenantId);

beforeAll(async () => {
  service = await startTestService(
    { name: 'metering', module: MeteringModule, settings: meteringSettings },
    { clock, environment: { WEIR_RECONCILIATION_INTERVAL_MS: '200' } },
  );
  follower = await service.bus.follow({ topics: [usageRolled.topic], apply: (record) => told.push(record) });
  const calls = ['2026-02-28T23:59:00Z', '2026-03-01T10:00:00Z', '2026-03-01T11:59:59Z', '2026-03-01T12:10:00Z'].map((occurredAt) =>
    aUsageEvent({ occurredAt }),
  );
  await service.bus.send(
    usageRecorded.topic,
    [...calls, aUsageEvent({ tenantId: 'globex', occurredAt: '2026-03-01T10:00:00Z' })].map((event) =>
      toRecord(usageRecorded, event.data, event),
    ),
  );
});
afterAll(async () => {
  await follower.close();
  await service.close();
});

const total = (meter: string, quantity: number) => ({
  meter,
  priceListId: 'list-1',
  currency: 'EUR',
  quantity: String(quantity),
  calls: quantity,
});

async function mismatch(tenantId: string): Promise<void> {
  const about = { tenantId, periodStart: MARCH, through: '2026-03-01T12:00:00.000Z' };
  await service.bus.send(usageMismatched.topic, [
    toRecord(usageMismatched, about, { id: systemIds.next(), source: 'billing/1', tenant: tenantId, occurredAt: MARCH }),
  ]);
}

async function repetitions(): Promise<number> {
  const text = await (await service.request('/metrics', { principal: null })).text();
  return Number(/weir_metering_periods_repeated_total\{[^}]*\} (\d+)/.exec(text)?.[1]);
}

describe('the totals of a month', () => {
  it('are stated again and again, of the hours that are over, for each tenant by itself', async () => {
    await eventually(() => totalsOf('acme').filter(({ periodStart }) => periodStart === MARCH).length >= 2);
    const latest = (tenantId: string, start: string) => totalsOf(tenantId).findLast(({ periodStart }) => periodStart === start);
    expect(latest('acme', MARCH)).toEqual({
      tenantId: 'acme',
      periodStart: MARCH,
      through: '2026-03-01T12:00:00.000Z',
      totals: [total('inputs', 2), total('requests', 2)],
    });
    expect(latest('acme', '2026-02-01T00:00:00.000Z')).toMatchObject({
      through: MARCH,
      totals: [total('inputs', 1), total('requests', 1)],
    });
    expect(latest('globex', MARCH)).toMatchObject({ totals: [total('inputs', 1), total('requests', 1)] });
  });

  it('follow the hourly sums, announced again with a greater revision, when billing has others; of that tenant alone', async () => {
    await eventually(() => totalsOf('globex').length > 0);
    const before = { told: told.length, globex: rolledOf('globex').length, repetitions: await repetitions() };
    await mismatch('acme');
    await eventually(() => told.slice(before.told).some((record) => eventTypeOf(record) === usageRolled.type));
    const statedBefore = totalsOf('acme').length;
    await eventually(() => totalsOf('acme').length > statedBefore + 2);

    const since = told.slice(before.told).filter(({ key }) => key === 'acme');
    const again = since.filter((record) => eventTypeOf(record) === usageRolled.type).map((record) => parseRecord(usageRolled, record).data);
    expect(again.map(({ hourStart, meter, calls, revision }) => [hourStart.slice(0, 13), meter, calls, revision])).toEqual([
      ['2026-03-01T10', 'inputs', 1, 2],
      ['2026-03-01T10', 'requests', 1, 2],
      ['2026-03-01T11', 'inputs', 1, 2],
      ['2026-03-01T11', 'requests', 1, 2],
    ]);
    const lastSum = since.findLastIndex((record) => eventTypeOf(record) === usageRolled.type);
    expect(since.slice(lastSum + 1).some((record) => eventTypeOf(record) === periodTotalled.type)).toBe(true);
    expect(rolledOf('globex')).toHaveLength(before.globex);
    // It goes on disagreeing: the sums are not repeated at the pace of the totals.
    expect(await repetitions()).toBe(before.repetitions + 1);
  });

  it('are repeated at once for a new mismatch, after the one before was withdrawn', async () => {
    const before = await repetitions();
    await service.bus.send(usageMismatched.topic, [{ key: usageMismatchKey({ tenantId: 'acme', periodStart: MARCH }), value: null }]);
    await mismatch('acme');
    await eventually(async () => (await repetitions()) === before + 1);
  });

  it('are stated for a month long gone too, as long as billing has others', async () => {
    const periodStart = '2025-11-01T00:00:00.000Z';
    const about = { tenantId: 'globex', periodStart, through: '2025-12-01T00:00:00.000Z' };
    const old = aUsageEvent({ tenantId: 'globex', occurredAt: '2025-11-30T23:00:00Z' });
    await service.bus.send(usageRecorded.topic, [toRecord(usageRecorded, old.data, old)]);
    await eventually(() => rolledOf('globex').some(({ hourStart }) => hourStart.startsWith('2025-11-30T23')));
    await service.bus.send(usageMismatched.topic, [
      toRecord(usageMismatched, about, { id: systemIds.next(), source: 'billing/1', tenant: 'globex', occurredAt: MARCH }),
    ]);
    const stated = () => totalsOf('globex').filter((totals) => totals.periodStart === periodStart);
    await eventually(() => stated().length >= 2);
    expect(stated().at(-1)).toMatchObject({ through: '2025-12-01T00:00:00.000Z', totals: [total('inputs', 1), total('requests', 1)] });
    expect(
      rolledOf('globex')
        .filter(({ hourStart }) => hourStart.startsWith('2025-11-30T23'))
        .map(({ revision }) => revision),
    ).toEqual([1, 1, 2, 2]);
  });
});

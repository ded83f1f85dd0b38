import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { aPrincipal, anOperator, copyTemplate, makeTemplateDatabase, TestClock } from '@weir/testing';
import { usageRolled, type EventEnvelope, type PriceList, type Rate, type Usage, type UsageRolled } from '@weir/contracts';
import { startPostgres, type RunningPostgres } from '@weir/embedded-postgres';
import { toRecord, type BusRecord } from '@weir/platform/bus';
import { compilePriceList, sumAmounts } from '@weir/pricing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBilling } from '../apps/billing/src/billing.fixture.ts';
import { batchOf } from '../apps/metering/src/usage-batch.fixture.ts';
import { aUsageEvent } from '../apps/metering/src/usage-event.fixture.ts';
import { openLedger, type OpenLedger } from '../apps/metering/src/ledger/ledger.fixture.ts';

const MODELS = ['digits', 'sentiment', 'acme/own'];
const FIRST_RATES: Rate[] = [
  { model: '*', meter: 'requests', unitAmount: '0.0010', per: 1 },
  { model: 'digits', meter: 'requests', unitAmount: '0.0005', per: 1 },
  { model: 'sentiment', meter: 'input-tokens', unitAmount: '0.15', per: 1000 },
];
const SECOND_RATES: Rate[] = [{ model: '*', meter: 'requests', unitAmount: '0.000333333333', per: 10 }];

let state = 20261122;
/** A number from 0 to `below` - 1; the same numbers in every run. */
const random = (below: number): number => (state = (state * 48271) % 2147483647) % below;
const shuffled = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => ({ item, at: random(1_000_000) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);

/** Metering's ledger and billing's invoices on one PostgreSQL; the spec carries the records between them, as badly as a bus may. */
describe('what metering counted is what billing asks for', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'weir-books-'));
  let postgres: RunningPostgres;
  let ledger: OpenLedger;
  let billing: Awaited<ReturnType<typeof openBilling>>;
  beforeAll(async () => {
    postgres = await startPostgres({ dataDirectory: path.join(folder, 'postgres'), durable: false });
    await makeTemplateDatabase(postgres.adminUrl);
    const database = await copyTemplate(postgres.adminUrl);
    ledger = await openLedger(database);
    billing = await openBilling(database, new TestClock('2026-03-14T12:00:00Z'));
  });
  afterAll(async () => {
    await billing.close();
    await ledger.close();
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('to the last digit, for 2,000 calls at two price lists, with records repeated, reordered and overtaken', async () => {
    const { priceList: first } = await billing.plans.create(anOperator(), {
      code: 'starter',
      displayName: 'Starter',
      currency: 'EUR',
      models: ['*'],
      rates: FIRST_RATES,
    });
    if (first === null) throw new Error('the plan has no price list');
    const lists = [first, await billing.plans.publishPriceList(anOperator(), { planCode: 'starter', rates: SECOND_RATES })];
    const calls = Array.from({ length: 2000 }, () => aCall(lists[random(2)] ?? first));

    let offset = 0;
    for (let at = 0; at < calls.length; at += 100) {
      const batch = [...calls.slice(at, at + 100), ...calls.slice(0, at).filter(() => random(50) === 0)];
      await ledger.consumer.handle(batchOf(batch, offset));
      if (random(3) === 0) await ledger.consumer.handle(batchOf(batch, offset));
      offset += batch.length;
    }
    const announced = await ledger.announced();
    await tellBilling(shuffled([...announced, ...announced.filter(() => random(4) === 0)]));

    for (const tenantId of ['acme', 'globex']) {
      expect(await ledger.reconcile(tenantId)).toMatchObject({
        isReconciled: true,
        calls: calls.filter((call) => call.tenant === tenantId).length,
      });
      const { nodes } = await billing.invoices.list(aPrincipal({ tenantId }), { first: 100 });
      const lines = nodes.flatMap((invoice) =>
        invoice.lines.map((line) => ({ month: invoice.periodStart.toISOString().slice(0, 7), ...line })),
      );
      const billed = lines.map((line) =>
        [line.month, line.model, line.meter, line.priceListId, line.quantity, String(line.calls), line.amount].join(' '),
      );
      expect(billed.toSorted()).toEqual((await ledgerLines(tenantId)).toSorted());
      const costs = calls.filter((call) => call.tenant === tenantId).map((call) => call.data.cost.amount);
      expect(sumAmounts(nodes.map((invoice) => invoice.total.amount))).toBe(sumAmounts(costs));
      expect(nodes.length).toBe(2);
    }
  });

  describe('when the topic starts again at offset 0 and grows past what billing had read', () => {
    const PERIOD = { start: new Date('2026-05-01T00:00:00Z'), through: new Date('2026-05-20T00:00:00Z') };
    const HOUR = '2026-05-10T10:00:00Z';
    let list: PriceList;
    let sent = 0;

    beforeAll(async () => {
      const { priceList } = await billing.plans.create(anOperator(), {
        code: 'recreated',
        displayName: 'Recreated',
        currency: 'EUR',
        models: ['*'],
        rates: FIRST_RATES,
      });
      if (priceList === null) throw new Error('the plan has no price list');
      list = priceList;
    });

    const call = (tenantId: string, model: string): EventEnvelope<Usage> => {
      const { cost, lines } = compilePriceList(list).rate(model, [{ meter: 'requests', quantity: '1' }]);
      const quantities = lines.map(({ meter, quantity, amount }) => ({ meter, quantity, amount }));
      return aUsageEvent({ tenantId, model, modelId: model, quantities, priceListId: list.id, cost, occurredAt: HOUR });
    };
    /** Announcements of calls that metering records one batch after the other. */
    const use = async (tenantId: string, model: string, calls: number): Promise<BusRecord[]> => {
      for (let at = 0; at < calls; at++) await ledger.consumer.handle(batchOf([call(tenantId, model)], 10_000 + sent++));
      return fresh();
    };
    let seen = 0;
    const fresh = async (): Promise<BusRecord[]> => {
      const told = await ledger.told();
      const news = told.slice(seen);
      seen = told.length;
      return news;
    };
    const deliver = async (records: readonly BusRecord[], firstOffset: number): Promise<void> => {
      const [head, ...rest] = records.map((record, index) => ({ ...record, partition: 1, offset: firstOffset + index }));
      if (head !== undefined) await billing.consumer.handle({ topic: usageRolled.topic, partition: 1, records: [head, ...rest] });
    };
    const billed = async (tenantId: string): Promise<number> =>
      (await billing.invoices.list(aPrincipal({ tenantId }), { first: 100 })).nodes
        .filter(({ periodStart }) => periodStart.getTime() === PERIOD.start.getTime())
        .flatMap(({ lines }) => lines)
        .reduce((sum, { calls }) => sum + calls, 0);
    const state = async (tenantId: string) => (await billing.reconciliation.find(tenantId))[0];

    test('every sum that is delivered is billed, and the totals agree', async () => {
      await fresh();
      await deliver(await use('rebuilt', 'digits', 40), 900);
      // The new topic begins at 0: its first records stand below the offset that billing has stored.
      await deliver(await use('rebuilt', 'digits', 30), 0);
      await deliver(await use('rebuilt', 'sentiment', 24), 30);
      await ledger.periodTotals.state('rebuilt', PERIOD);
      await deliver(await fresh(), 60);
      expect(await billed('rebuilt')).toBe(94);
      expect(await state('rebuilt')).toMatchObject({ unequalSince: null, differences: [] });
    });

    test('sums that were lost with the old topic raise the alarm until metering has repeated them', async () => {
      await deliver(await use('short', 'digits', 5), 900);
      await use('short', 'digits', 3);
      await deliver(await use('short', 'sentiment', 4), 0);
      await ledger.periodTotals.state('short', PERIOD);
      await deliver(await fresh(), 10);
      expect(await billed('short')).toBe(9);
      const difference = { meter: 'requests', meteredCalls: 12, billedCalls: 9, meteredQuantity: '12', billedQuantity: '9' };
      expect(await state('short')).toMatchObject({ unequalSince: expect.any(Date), differences: [difference] });
      expect(await billing.reconciliation.alarm()).toMatchObject({ unequal: 1 });

      await ledger.periodTotals.repeat('short', PERIOD);
      await ledger.periodTotals.state('short', PERIOD);
      await deliver(await fresh(), 20);
      expect(await billed('short')).toBe(12);
      expect(await state('short')).toMatchObject({ unequalSince: null, differences: [] });
      expect(await billing.reconciliation.alarm()).toMatchObject({ unequal: 0, unequalSinceSeconds: null });
      expect(await ledger.reconcile('short')).toMatchObject({ isReconciled: true });
    });

    test('what a recreated metering has lost stays billed, and raises the alarm', async () => {
      await deliver(await use('recreated', 'digits', 5), 900);
      for (const table of ['ledger', 'usage_buckets', 'usage_hours'])
        await ledger.rows(`delete from ${table} where tenant_id = 'recreated'`);
      await deliver(await use('recreated', 'digits', 2), 910);
      for (let times = 0; times < 5; times++) await ledger.periodTotals.repeat('recreated', PERIOD);
      await ledger.periodTotals.state('recreated', PERIOD);
      await deliver(await fresh(), 920);
      expect(await billed('recreated')).toBe(5);
      expect(await state('recreated')).toMatchObject({ differences: [{ meteredCalls: 2, billedCalls: 5 }] });
      // It counts the rest of its log again, and then more: billing follows.
      await deliver(await use('recreated', 'digits', 4), 930);
      await ledger.periodTotals.state('recreated', PERIOD);
      await deliver(await fresh(), 940);
      expect(await billed('recreated')).toBe(6);
      expect(await state('recreated')).toMatchObject({ unequalSince: null });
    });

    test('totals that are delivered again behind newer ones change nothing', async () => {
      await deliver(await use('again', 'digits', 2), 950);
      await ledger.periodTotals.state('again', PERIOD);
      const old = await fresh();
      await deliver(old, 960);
      await deliver(await use('again', 'digits', 1), 970);
      await billing.database.sqlTransaction('again', (tx) =>
        tx.query(`update usage_reconciliations set stated_at = stated_at + interval '1 s'`),
      );
      await deliver(old, 980);
      expect(await state('again')).toMatchObject({ unequalSince: null });
    });
  });

  function aCall(list: PriceList): EventEnvelope<Usage> {
    const model = MODELS[random(3)] ?? 'digits';
    const rated = compilePriceList(list).rate(model, [
      { meter: 'requests', quantity: '1' },
      { meter: 'inputs', quantity: String(1 + random(9)) },
      { meter: 'input-tokens', quantity: `${random(500)}.${random(10)}` },
    ]);
    return aUsageEvent({
      tenantId: random(2) === 0 ? 'acme' : 'globex',
      principalId: `key-${random(3)}`,
      modelId: `id-of-${model}`,
      model,
      quantities: rated.lines.map(({ meter, quantity, amount }) => ({ meter, quantity, amount })),
      priceListId: list.id,
      cost: rated.cost,
      occurredAt: new Date(Date.UTC(2026, 1 + random(2), 1 + random(28), random(24), random(60), random(60))).toISOString(),
    });
  }

  async function tellBilling(events: readonly EventEnvelope<UsageRolled>[]): Promise<void> {
    for (let at = 0; at < events.length; at += 150) {
      const [head, ...rest] = events.slice(at, at + 150).map((event, index): BusRecord => {
        const { key, value, headers = {} } = toRecord(usageRolled, event.data, event);
        return { topic: usageRolled.topic, partition: 0, offset: at + index, key, value, headers, timestampMs: 0 };
      });
      if (head !== undefined) await billing.consumer.handle({ topic: usageRolled.topic, partition: 0, records: [head, ...rest] });
    }
  }

  /** The ledger's own entries, summed as an invoice is. */
  async function ledgerLines(tenantId: string): Promise<string[]> {
    const rows = await ledger.rows<{ line: string }>(`
      select concat_ws(' ', to_char(occurred_at at time zone 'UTC', 'YYYY-MM'), model, part.meter, price_list_id,
        trim_scale(sum(part.quantity)), count(*), trim_scale(sum(part.amount))) as line
      from ledger, jsonb_to_recordset(quantities) as part(meter text, quantity numeric, amount numeric)
      where tenant_id = '${tenantId}'
      group by to_char(occurred_at at time zone 'UTC', 'YYYY-MM'), model, part.meter, price_list_id`);
    return rows.map((row) => row.line);
  }
});

import { usageRolled, type EventEnvelope, type Usage } from '@weir/contracts';
import { sumAmounts } from '@weir/pricing';
import { PoisonRecordError } from '@weir/platform/bus';
import { freshDatabase, type TestDatabase } from '@weir/testing';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aUsage, aUsageEvent } from '../usage-event.fixture.ts';
import { batchOf, recordOf } from '../usage-batch.fixture.ts';
import { openLedger, type OpenLedger } from './ledger.fixture.ts';

let ledger: OpenLedger;
beforeEach(async () => {
  ledger = await openLedger();
});
afterEach(() => ledger.close());

async function counts(): Promise<{ calls: number; outbox: number; nextOffsets: number[] }> {
  const [row] = await ledger.rows<{ calls: number; outbox: number }>(
    'select (select count(*)::int from ledger) as calls, (select count(*)::int from outbox) as outbox',
  );
  const offsets = await ledger.rows<{ next_offset: string }>('select next_offset from inbox_offsets order by topic, partition');
  return { calls: row?.calls ?? 0, outbox: row?.outbox ?? 0, nextOffsets: offsets.map((offset) => Number(offset.next_offset)) };
}

/** The same call in a period of 24 hours, and in the next. */
const FIRST = { receiptId: 'in-period-1', neighbourReceiptIds: ['in-period-0', 'in-period-2'], occurredAt: '2026-03-01T23:59:00Z' };
const NEXT = { receiptId: 'in-period-2', neighbourReceiptIds: ['in-period-1', 'in-period-3'], occurredAt: '2026-03-02T00:01:00Z' };

describe('a call with an idempotency key that two gateways have answered', () => {
  const recorded = async (): Promise<string[]> =>
    (await ledger.rows<{ receipt_id: string }>('select receipt_id from ledger order by receipt_id')).map((row) => row.receipt_id);

  it.each([
    ['one after the other', [[FIRST], [NEXT]], 'in-period-1'],
    ['the later one first, because the other gateway could not send', [[NEXT], [FIRST]], 'in-period-2'],
    ['in one batch', [[FIRST, NEXT]], 'in-period-1'],
    ['under one receipt', [[FIRST], [FIRST]], 'in-period-1'],
  ])('counts once: %s', async (_, batches, receiptId) => {
    for (const [index, batch] of batches.entries())
      await ledger.consumer.handle(
        batchOf(
          batch.map((call) => aUsageEvent(call)),
          index * 10,
        ),
      );
    expect(await recorded()).toEqual([receiptId]);
    expect(await ledger.reconcile('acme')).toMatchObject({ calls: 1, isReconciled: true });
  });

  it('counts again after 24 hours', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent(FIRST)]));
    await ledger.consumer.handle(batchOf([aUsageEvent({ ...NEXT, occurredAt: '2026-03-02T23:59:00Z' })], 1));
    expect(await recorded()).toEqual(['in-period-1', 'in-period-2']);
  });

  it.each([
    ['the earlier one last', [{ ...NEXT, occurredAt: '2026-03-03T11:59:00Z' }, FIRST]],
    ['the later one last', [FIRST, { ...NEXT, occurredAt: '2026-03-03T11:59:00Z' }]],
  ])('counts both where a day and a half lies between them, %s', async (_, calls) => {
    for (const [index, call] of calls.entries()) await ledger.consumer.handle(batchOf([aUsageEvent(call)], index));
    expect(await recorded()).toEqual(['in-period-1', 'in-period-2']);
  });

  it('counts for each tenant by itself', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent(FIRST), aUsageEvent({ ...NEXT, tenantId: 'globex' })]));
    await ledger.consumer.handle(batchOf([aUsageEvent({ ...NEXT, tenantId: 'initech' })], 2));
    expect(await recorded()).toEqual(['in-period-1', 'in-period-2', 'in-period-2']);
  });
});

describe('recording calls', () => {
  it('writes ledger, sums of every grain, the hourly totals and the position together', async () => {
    await ledger.consumer.handle(
      batchOf([aUsageEvent(), aUsageEvent({ occurredAt: '2026-03-01T10:16:00Z' }), aUsageEvent({ occurredAt: '2026-03-01T11:00:00Z' })], 7),
    );

    expect(await counts()).toEqual({ calls: 3, outbox: 4, nextOffsets: [10] });
    const sums = await ledger.rows<{ grain: string; start: string; quantity: string; cost: string; calls: string; leading_calls: string }>(
      `select grain, to_char(bucket_start at time zone 'UTC', 'HH24:MI') as start, quantity::text, cost::text, calls::text, leading_calls::text from usage_buckets where meter = 'inputs' order by 1, 2`,
    );
    const sum = (calls: number, cost: string) => ({ quantity: String(calls), cost, calls: String(calls), leading_calls: '0' });
    expect(sums).toEqual([
      { grain: 'day', start: '00:00', ...sum(3, '0.00036') },
      { grain: 'hour', start: '10:00', ...sum(2, '0.00024') },
      { grain: 'hour', start: '11:00', ...sum(1, '0.00012') },
      { grain: 'minute', start: '10:15', ...sum(1, '0.00012') },
      { grain: 'minute', start: '10:16', ...sum(1, '0.00012') },
      { grain: 'minute', start: '11:00', ...sum(1, '0.00012') },
    ]);
    expect(await ledger.reconcile('acme')).toEqual({ tenantId: 'acme', calls: 3, isReconciled: true, differences: [] });
  });

  it('counts each call of a period once, over all batches', async () => {
    for (let batch = 0; batch < 3; batch++) await ledger.consumer.handle(batchOf([aUsageEvent(), aUsageEvent()], batch * 2));
    const [day] = await ledger.rows<{ leading: string }>(
      `select sum(leading_calls)::text as leading from usage_buckets where grain = 'day'`,
    );
    expect(day?.leading).toBe('6');
    expect(await ledger.reconcile('acme')).toMatchObject({ calls: 6, isReconciled: true });
  });

  it('announces totals that any reader of the contract can read, with an id of their own each', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent()]));
    await ledger.consumer.handle(batchOf([aUsageEvent({ quantities: [{ meter: 'inputs', quantity: '2.50' }] })], 1));

    const announced = await ledger.announced();
    expect(announced.map(({ data }) => [data.meter, data.quantity, data.calls, data.revision])).toEqual([
      ['inputs', '1', 1, 1],
      ['requests', '1', 1, 1],
      ['inputs', '3.5', 2, 2],
    ]);
    expect(announced[0]).toMatchObject({
      type: usageRolled.type,
      source: 'metering-spec',
      tenant: 'acme',
      schema: 1,
      occurredAt: '2026-03-14T12:00:00.000Z',
      data: {
        tenantId: 'acme',
        hourStart: '2026-03-01T10:00:00Z',
        modelId: 'model-digits',
        model: 'digits',
        priceListId: 'list-1',
        currency: 'EUR',
      },
    });
    expect(new Set(announced.map(({ id }) => id)).size).toBe(3);
  });

  it('changes nothing when a batch is delivered again, in full, in part, or by a consumer that lost the partition', async () => {
    const events = Array.from({ length: 6 }, () => aUsageEvent());
    await ledger.consumer.handle(batchOf(events.slice(0, 4)));
    const before = await counts();
    await ledger.consumer.handle(batchOf(events.slice(0, 4)));
    await ledger.consumer.handle(batchOf(events.slice(1, 2), 1));
    expect(await counts()).toEqual(before);

    await ledger.consumer.handle(batchOf(events.slice(2), 2));
    expect(await counts()).toMatchObject({ calls: 6, nextOffsets: [6] });
    expect((await ledger.reconcile('acme')).isReconciled).toBe(true);
  });

  it('counts an event once that its producer sent again, at another offset, in another partition or twice in one batch', async () => {
    const event = aUsageEvent();
    await ledger.consumer.handle(batchOf([event, event]));
    await ledger.consumer.handle(batchOf([event, aUsageEvent()], 2));
    await ledger.consumer.handle(batchOf([event], 0, 3));
    expect(await counts()).toMatchObject({ calls: 2, nextOffsets: [4, 1] });
    expect((await ledger.announced()).map(({ data }) => data.calls)).toEqual([1, 1, 2, 2]);
  });

  it('passes over nothing when the bus was exchanged for one whose offsets begin anew', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent(), aUsageEvent()], 1000));
    await ledger.consumer.handle(batchOf([aUsageEvent()], 0));
    expect(await counts()).toMatchObject({ calls: 3, nextOffsets: [1002] });
  });

  it('keeps calls apart that have the same event id but another source or tenant', async () => {
    const event = aUsageEvent();
    const others = [
      { ...event, source: 'gateway/2' },
      { ...event, tenant: 'globex', data: { ...event.data, tenantId: 'globex' } },
    ];
    await ledger.consumer.handle(batchOf([event, ...others]));
    expect(await counts()).toMatchObject({ calls: 3 });
  });

  it('records a batch once that two consumers hold at the same moment', async () => {
    const batch = batchOf(Array.from({ length: 50 }, () => aUsageEvent()));
    await Promise.all(Array.from({ length: 8 }, () => ledger.consumer.handle(batch)));
    expect(await counts()).toMatchObject({ calls: 50, nextOffsets: [50] });
    expect((await ledger.announced()).every(({ data }) => data.revision === 1)).toBe(true);
  });

  it('does not deadlock when partitions touch the same sums in opposite orders', async () => {
    const models = Array.from({ length: 12 }, (_, index) => `model-${index}`);
    const calls = (order: readonly string[]) =>
      order.map((model) => aUsageEvent({ modelId: model, model, occurredAt: '2026-03-01T10:00:00Z' }));
    await Promise.all(
      Array.from({ length: 12 }, async (_, partition) => {
        for (let round = 0; round < 8; round++) {
          await ledger.consumer.handle(
            batchOf(calls((partition + round) % 2 === 0 ? models : models.toReversed()), round * models.length, partition),
          );
        }
      }),
    );
    expect(await ledger.reconcile('acme')).toMatchObject({ calls: 12 * 8 * 12, isReconciled: true });
    const last = new Map((await ledger.announced()).map(({ data }) => [`${data.model} ${data.meter}`, data]));
    expect([...last.values()].map(({ calls: total, revision }) => [total, revision])).toEqual(Array.from({ length: 24 }, () => [96, 96]));
  });

  it('does not deadlock when the same events arrive in several partitions in different orders, and counts each once', async () => {
    const rounds = 12;
    for (let round = 0; round < rounds; round++) {
      const events = Array.from({ length: 60 }, (_, index) =>
        aUsageEvent({ modelId: `model-${index}`, model: `model-${index}`, occurredAt: '2026-03-01T10:00:00Z' }),
      );
      const orders = Array.from({ length: 8 }, (_, partition) => {
        const start = (partition * 7) % events.length;
        const rotated = [...events.slice(start), ...events.slice(0, start)];
        return partition % 2 === 0 ? rotated : rotated.toReversed();
      });
      await Promise.all(orders.map((order, partition) => ledger.consumer.handle(batchOf(order, round * events.length, partition))));
    }
    expect(await ledger.reconcile('acme')).toMatchObject({ calls: rounds * 60, isReconciled: true });
  });

  it('adds up to the last digit whatever the batches and repetitions', async () => {
    let state = 11;
    const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
    const decimal = () => `${random(1000)}.${String(random(1_000_000)).padStart(6, '0')}${random(10)}`;
    const sent: EventEnvelope<Usage>[] = [];
    let offset = 0;
    for (let round = 0; round < 20; round++) {
      const fresh = Array.from({ length: 1 + random(30) }, () => {
        const minute = String(random(60)).padStart(2, '0');
        const amounts = [decimal(), decimal()] as const;
        return aUsageEvent({
          principalId: `key-${random(3)}`,
          model: random(2) === 0 ? 'digits' : 'sentiment',
          occurredAt: `2026-03-0${1 + random(2)}T1${random(3)}:${minute}:00Z`,
          quantities: [
            { meter: 'requests', quantity: '1', amount: amounts[0] },
            { meter: 'input-tokens', quantity: decimal(), amount: amounts[1] },
          ],
          cost: { amount: sumAmounts(amounts), currency: 'EUR' },
        });
      });
      const repeated = sent.filter(() => random(10) === 0);
      const events = [...fresh, ...repeated];
      sent.push(...fresh);
      await ledger.consumer.handle(batchOf(events, offset));
      if (random(3) === 0) await ledger.consumer.handle(batchOf(events, offset));
      offset += events.length;
    }
    expect(await ledger.reconcile('acme')).toMatchObject({ calls: sent.length, isReconciled: true });
    const [total] = await ledger.rows<{ cost: string }>(
      `select trim_scale(sum(cost))::text as cost from usage_buckets where grain = 'minute'`,
    );
    expect(total?.cost).toBe(sumAmounts(sent.map(({ data }) => data.cost.amount)));

    const latest = new Map<string, { revision: number; quantity: string }>();
    for (const { data } of await ledger.announced()) {
      const key = `${data.hourStart} ${data.model} ${data.meter}`;
      if (data.revision > (latest.get(key)?.revision ?? 0)) latest.set(key, data);
    }
    const rolled = [...latest].filter(([key]) => key.endsWith('input-tokens')).map(([, { quantity }]) => quantity);
    expect(sumAmounts(rolled)).toBe(sumAmounts(sent.map(({ data }) => data.quantities[1]?.quantity ?? '0')));
  });
});

describe('on a database with a time zone of its own', () => {
  it.each([['Pacific/Auckland'], ['America/St_Johns']])('days and hours are cut in UTC: %s', async (timeZone) => {
    const database = await freshDatabase();
    await setTimeZone(database, timeZone);
    const elsewhere = await openLedger(database);
    try {
      const [zone] = await elsewhere.rows<{ zone: string }>(`select current_setting('timezone') as zone`);
      expect(zone?.zone).toBe(timeZone);
      await elsewhere.consumer.handle(
        batchOf(['00:05', '12:45', '23:55'].map((time) => aUsageEvent({ occurredAt: `2026-03-01T${time}:00Z` }))),
      );
      const starts = await elsewhere.rows<{ grain: string; start: string }>(
        `select distinct grain, to_char(bucket_start at time zone 'UTC', 'MM-DD HH24:MI') as start from usage_buckets where grain <> 'minute' order by 1, 2`,
      );
      expect(starts.map(({ grain, start }) => `${grain} ${start}`)).toEqual([
        'day 03-01 00:00',
        'hour 03-01 00:00',
        'hour 03-01 12:00',
        'hour 03-01 23:00',
      ]);
      expect(new Set((await elsewhere.announced()).map(({ data }) => data.hourStart))).toEqual(
        new Set(['2026-03-01T00:00:00Z', '2026-03-01T12:00:00Z', '2026-03-01T23:00:00Z']),
      );
    } finally {
      await elsewhere.close();
    }
  });

  async function setTimeZone({ adminUrl, name }: TestDatabase, timeZone: string): Promise<void> {
    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    await client.query(`alter database ${name} set timezone = '${timeZone}'`);
    await client.end();
  }
});

describe('a record that can never be recorded', () => {
  it('is named to the bus when it tells of another tenant than its envelope, and the others are recorded without it', async () => {
    const [good, foreign, alsoGood] = [aUsageEvent(), { ...aUsageEvent(), tenant: 'globex' }, aUsageEvent()];
    const batch = batchOf([good, foreign, alsoGood]);
    await expect(ledger.consumer.handle(batch)).rejects.toThrow(
      expect.objectContaining({ name: 'PoisonRecordError', record: batch.records[1] }),
    );
    expect(await counts()).toMatchObject({ calls: 0, nextOffsets: [] });

    const [first, ...rest] = batch.records;
    await ledger.consumer.handle({ ...batch, records: [first, ...rest.slice(1)] });
    expect(await counts()).toMatchObject({ calls: 2, nextOffsets: [3] });
  });

  it('is found when it does not parse, and its reason does not quote it', async () => {
    const record = recordOf(aUsageEvent(), 0);
    for (const value of [
      '{"secret',
      '{}',
      JSON.stringify({ ...JSON.parse(record.value ?? ''), data: { ...aUsage(), quantities: [{ meter: 'secret', quantity: '1' }] } }),
    ]) {
      const handled = ledger.consumer.handle({ topic: record.topic, partition: 0, records: [{ ...record, value }] });
      await expect(handled).rejects.toThrow(PoisonRecordError);
      await expect(handled).rejects.not.toThrow(/secret/);
    }
  });

  it('is not one of another type, which is passed over', async () => {
    const record = recordOf(aUsageEvent(), 0);
    const other = {
      ...record,
      value: JSON.stringify({ ...JSON.parse(record.value ?? ''), type: 'inference.usage.estimated.v1' }),
      headers: {},
    };
    await ledger.consumer.handle({ topic: record.topic, partition: 0, records: [other, recordOf(aUsageEvent(), 1)] });
    expect(await counts()).toMatchObject({ calls: 1, nextOffsets: [2] });
  });
});

describe('row-level security of the ledger', () => {
  it('shows a tenant its own rows alone, and nothing to work without a tenant', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent(), aUsageEvent({ tenantId: 'globex' })]));
    for (const table of ['ledger', 'usage_buckets', 'usage_hours']) {
      const tenantsSeen = `select array_agg(distinct tenant_id) as tenants from ${table}`;
      const asAcme = await ledger.database.sqlTransaction('acme', (client) => client.query<{ tenants: string[] }>(tenantsSeen));
      expect(asAcme.rows[0]?.tenants, table).toEqual(['acme']);
      const asNobody = await ledger.database.sql.query<{ tenants: string[] | null }>(tenantsSeen);
      expect(asNobody.rows[0]?.tenants, table).toBeNull();
    }
  });
});

describe('reconciliation', () => {
  it('names every sum that is not what the ledger adds up to', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent()]));
    await ledger.rows(`update usage_buckets set quantity = quantity + 0.000001 where grain = 'hour' and meter = 'inputs'`);
    await ledger.rows(`delete from usage_hours where meter = 'requests'`);
    const { isReconciled, differences } = await ledger.reconcile('acme');
    expect(isReconciled).toBe(false);
    expect(differences).toEqual([
      expect.objectContaining({
        sums: 'hour',
        meter: 'inputs',
        ledgerQuantity: '1',
        summedQuantity: '1.000001',
        ledgerCalls: 1,
        summedCalls: 1,
      }),
      expect.objectContaining({
        sums: 'totals',
        meter: 'requests',
        ledgerQuantity: '1',
        summedQuantity: '0',
        ledgerCalls: 1,
        summedCalls: 0,
      }),
    ]);
  });

  it('notices calls of a period that are not all counted', async () => {
    for (let batch = 0; batch < 2; batch++) await ledger.consumer.handle(batchOf([aUsageEvent()], batch));
    await ledger.rows(`update usage_buckets set leading_calls = 1 where grain = 'minute' and meter = 'requests'`);
    expect((await ledger.reconcile('acme')).differences).toEqual([
      expect.objectContaining({
        sums: 'minute',
        meter: 'requests',
        ledgerLeadingCalls: 2,
        summedLeadingCalls: 1,
        ledgerCalls: 2,
        summedCalls: 2,
      }),
    ]);
  });

  it('notices a call whose parts do not sum to its cost', async () => {
    await ledger.consumer.handle(batchOf([aUsageEvent()]));
    await ledger.rows(`update ledger set cost = cost + 1`);
    expect((await ledger.reconcile('acme')).isReconciled).toBe(false);
  });
});

import { ALL_TOPICS, tenantChanged, type TenantState } from '@weir/contracts';
import { systemClock, systemIds } from '@weir/kernel';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEventBus, toRecord, type BusRecord, type EventBus } from '../bus/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { Database } from './database.ts';
import { EventConsumer, on, onRemoved, type RecordHandler } from './event-consumer.ts';
import { migrate } from './migrate.ts';
import { queryOnce, specDatabase, type SpecDatabase } from './database.fixture.ts';
import { noPrisma } from './no-prisma.fixture.ts';

const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });

let spec: SpecDatabase;
let database: Database;
let bus: EventBus;
const consumers: EventConsumer[] = [];

beforeEach(async () => {
  spec = await specDatabase();
  const url = spec.urlOf('metering');
  await migrate({ url, schema: 'metering', directory: import.meta.dirname });
  await queryOnce(url, 'create table effects (slug text, n int)');
  database = new Database({ url, schema: 'metering', applicationName: 'spec', createClient: noPrisma, logger });
  bus = createEventBus({ kind: 'embedded', url: spec.urlOf('bus') }, { logger, clientId: 'spec' });
  await bus.ensureTopics(ALL_TOPICS);
});

afterEach(async () => {
  for (const consumer of consumers.splice(0)) await consumer.close();
  await bus.close();
  await database.close();
});

function aTenant(slug: string, n: number): TenantState {
  return { id: slug, slug, displayName: String(n), status: 'active' };
}

function event(slug: string, n: number): { key: string; value: string | null; headers?: Readonly<Record<string, string>> } {
  return toRecord(tenantChanged, aTenant(slug, n), {
    id: systemIds.next(),
    source: 'spec',
    tenant: slug,
    occurredAt: new Date(systemClock.now()).toISOString(),
  });
}

const keepEffects = on(tenantChanged, async (events, tx) => {
  for (const { data } of events) await tx.query('insert into effects values ($1, $2)', [data.slug, Number(data.displayName)]);
});

/** The events 1, 2 and 3 of one key, as they stand on the bus. */
async function sent(numbers: readonly [number, number, number]): Promise<[BusRecord, BusRecord, BusRecord]> {
  await bus.send(
    'auth.tenants',
    numbers.map((n) => event('a', n)),
  );
  const records: BusRecord[] = [];
  const follower = await bus.follow({ topics: ['auth.tenants'], apply: (record) => records.push(record) });
  await follower.caughtUp;
  await follower.close();
  return records as [BusRecord, BusRecord, BusRecord];
}

async function consume(...handlers: RecordHandler[]): Promise<EventConsumer> {
  const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers });
  consumers.push(consumer);
  await consumer.start();
  return consumer;
}

async function effects(): Promise<number[]> {
  return (await database.sql.query<{ n: number }>('select n from effects order by n')).rows.map((row) => row.n);
}

describe('a consumer', () => {
  it('makes the effect of every event once and in order', async () => {
    await bus.send(
      'auth.tenants',
      [1, 2, 3].map((n) => event('a', n)),
    );
    await consume(keepEffects);
    await bus.send('auth.tenants', [event('a', 4)]);
    await vi.waitFor(async () => expect(await effects()).toEqual([1, 2, 3, 4]), { timeout: 10_000 });
  });

  it('passes over a delivery that comes again, also when it overlaps with new records', async () => {
    const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects] });
    const [first, second, third] = await sent([1, 2, 3]);
    const { topic, partition } = first;
    await consumer.handle({ topic, partition, records: [first, second] });
    await consumer.handle({ topic, partition, records: [first, second] });
    await consumer.handle({ topic, partition, records: [first, second, third] });
    expect(await effects()).toEqual([1, 2, 3]);
  });

  it('makes the effect once when two members hold the same partition for a moment', async () => {
    const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects] });
    const [first] = await sent([1, 2, 3]);
    await Promise.all(Array.from({ length: 6 }, () => consumer.handle({ ...first, records: [first] })));
    expect(await effects()).toEqual([1]);
  });

  describe('of a topic that started again from offset 0', () => {
    /** The same effects as far as they go, made by records with these offsets, taken by the bus `laterMs` after the first ones. */
    const moved = (records: readonly BusRecord[], offsets: readonly number[], laterMs: number): [BusRecord, ...BusRecord[]] =>
      records.map((record, n) => ({ ...record, offset: offsets[n] ?? 0, timestampMs: record.timestampMs + laterMs })) as [
        BusRecord,
        ...BusRecord[],
      ];
    const HOUR_MS = 3_600_000;

    it('handles every record of the new log, also when that has grown beyond the stored offset', async () => {
      const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects] });
      const records = await sent([1, 2, 3]);
      const { topic, partition } = records[0];
      const [handled] = moved(records.slice(0, 1), [1], 0);
      await consumer.handle({ topic, partition, records: [handled] });
      // The stored offset is 2 and the log ends at 3: its length alone says nothing.
      const [, second, third] = moved(records, [0, 0, 1], HOUR_MS);
      await consumer.handle({ topic, partition, records: [second as BusRecord, third as BusRecord] });
      expect(await effects()).toEqual([1, 2, 3]);
    });

    it('skips a redelivery of the new log as of any other, and what a member that still reads the old one delivers late', async () => {
      const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects] });
      const records = await sent([1, 2, 3]);
      const { topic, partition } = records[0];
      await consumer.handle({ topic, partition, records });
      await consumer.handle({ topic, partition, records: moved(records, [0, 1, 2], HOUR_MS) });
      await consumer.handle({ topic, partition, records: moved(records, [0, 1, 2], HOUR_MS) });
      await consumer.handle({ topic, partition, records });
      expect(await effects()).toEqual([1, 1, 2, 2, 3, 3]);
    });

    it.each([
      ['one record short', 4],
      ['much shorter', 1_000],
    ])('handles them when the clock does not tell and the log is %s of the stored offset', async (_how, stored) => {
      const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects] });
      const records = await sent([1, 2, 3]);
      const { topic, partition } = records[0];
      await queryOnce(spec.urlOf('metering'), 'insert into inbox_offsets values ($1, $2, $3)', [topic, partition, stored]);
      await consumer.handle({ topic, partition, records });
      expect(await effects()).toEqual([1, 2, 3]);
      await consumer.handle({ topic, partition, records });
      expect(await effects()).toEqual([1, 2, 3]);
    });

    it('does not take a redelivery of everything for one when the log ends at the stored offset', async () => {
      const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects] });
      const records = await sent([1, 2, 3]);
      const { topic, partition } = records[0];
      await queryOnce(spec.urlOf('metering'), 'insert into inbox_offsets values ($1, $2, 3)', [topic, partition]);
      await consumer.handle({ topic, partition, records });
      expect(await effects()).toEqual([]);
    });

    it('reads the recreated topic through the bus to its end', async () => {
      await bus.send(
        'auth.tenants',
        [1, 2, 3].map((n) => event('a', n)),
      );
      await consume(keepEffects);
      await vi.waitFor(async () => expect(await effects()).toEqual([1, 2, 3]), { timeout: 10_000 });
      for (const consumer of consumers.splice(0)) await consumer.close();
      await bus.close();
      await queryOnce(spec.adminUrl, 'truncate bus.record, bus.group_partition, bus.topic_partition');
      bus = createEventBus({ kind: 'embedded', url: spec.urlOf('bus') }, { logger, clientId: 'spec' });
      await bus.ensureTopics(ALL_TOPICS);
      await bus.send(
        'auth.tenants',
        [4, 5, 6, 7, 8].map((n) => event('a', n)),
      );
      await consume(keepEffects);
      await vi.waitFor(async () => expect(await effects()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]), { timeout: 10_000 });
    });
  });

  it('whose effects are idempotent handles every record that is delivered, also below its offset', async () => {
    const consumer = new EventConsumer({ group: 'metering', bus, database, logger, handlers: [keepEffects], areEffectsIdempotent: true });
    const [first, second, third] = await sent([1, 2, 3]);
    await consumer.handle({ ...first, records: [first, second] });
    await queryOnce(spec.urlOf('metering'), 'update inbox_offsets set next_offset = 1000');
    await consumer.handle({ ...first, records: [second, third] });
    expect(await effects()).toEqual([1, 2, 2, 3]);
  });

  it('that crashes between effect and commit makes the effect once all the same', async () => {
    let crashes = 0;
    await consume(
      on(tenantChanged, async (events, tx) => {
        for (const { data } of events) await tx.query('insert into effects values ($1, $2)', [data.slug, Number(data.displayName)]);
        if (crashes++ < 2) {
          const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
          await queryOnce(spec.adminUrl, 'select pg_terminate_backend($1)', [rows[0]?.pid]);
        }
      }),
    );
    await bus.send('auth.tenants', [event('a', 1), event('a', 2)]);
    await vi.waitFor(async () => expect(await effects()).toEqual([1, 2]), { timeout: 15_000 });
    expect(crashes).toBeGreaterThan(2);
  });

  it('puts a record that breaks its contract aside with the reason, and goes on behind it', async () => {
    const broken = { ...event('a', 2), value: '{"no": "envelope"}' };
    await bus.send('auth.tenants', [event('a', 1), broken, event('a', 3)]);
    await consume(keepEffects);
    await vi.waitFor(async () => expect(await effects()).toEqual([1, 3]), { timeout: 10_000 });
    const dead: BusRecord[] = [];
    const follower = await bus.follow({ topics: ['metering.dead'], apply: (record) => dead.push(record) });
    await vi.waitFor(() => expect(dead).toHaveLength(1), { timeout: 15_000 });
    await follower.close();
    expect(dead[0]?.headers['dead-reason']).toContain('envelope');
  });

  it('gives tombstones to the handler of removals, in order with the events around them', async () => {
    const seen: string[] = [];
    await bus.send('auth.tenants', [event('a', 1), { key: 'a', value: null }, event('a', 2)]);
    await consume(
      on(tenantChanged, async (events) => void seen.push(...events.map(({ data }) => data.displayName))),
      onRemoved(tenantChanged, async (keys) => void seen.push(...keys.map((key) => `-${key}`))),
    );
    // The bus compacts: the first value of the key may be gone, the order of what is left may not change.
    await vi.waitFor(() => expect(seen.filter((what) => what !== '1')).toEqual(['-a', '2']), { timeout: 10_000 });
  });

  it('ignores events of types that it does not know', async () => {
    await bus.send('auth.tenants', [{ ...event('a', 1), headers: { 'event-type': 'auth.tenant.painted.v1' } }, event('a', 2)]);
    await consume(keepEffects);
    await vi.waitFor(async () => expect(await effects()).toEqual([2]), { timeout: 10_000 });
  });
});

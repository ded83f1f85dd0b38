import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { ALL_TOPICS, tenantChanged } from '@weir/contracts';
import { systemClock, systemIds } from '@weir/kernel';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { createEventBus, parseRecord, type BusRecord, type EventBus } from '../bus/index.ts';
import { createLogger, createMetrics } from '../telemetry/index.ts';
import { ACROSS_TENANTS, Database } from './database.ts';
import { migrate } from './migrate.ts';
import { OutboxRelay } from './outbox-relay.ts';
import { Outbox } from './outbox.ts';
import { queryOnce, specDatabase } from './database.fixture.ts';
import { noPrisma } from './no-prisma.fixture.ts';

const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });
const outbox = new Outbox({ source: 'spec', clock: systemClock, ids: systemIds });
const cleanups: (() => Promise<void>)[] = [];

interface Fixture {
  readonly url: string;
  readonly busUrl: string;
  readonly database: Database;
  readonly bus: EventBus;
}

async function fixture(): Promise<Fixture> {
  const spec = await specDatabase();
  const url = spec.urlOf('auth');
  await migrate({ url, schema: 'auth', directory: import.meta.dirname });
  const database = new Database({ url, schema: 'auth', applicationName: 'spec', createClient: noPrisma, logger });
  const bus = createEventBus({ kind: 'embedded', url: spec.urlOf('bus') }, { logger, clientId: 'spec' });
  cleanups.push(async () => {
    await bus.close();
    await database.close();
  });
  await bus.ensureTopics(ALL_TOPICS);
  return { url, busUrl: spec.urlOf('bus'), database, bus };
}

afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

function announce(database: Database, key: string, n: number): Promise<void> {
  return database.sqlTransaction(ACROSS_TENANTS, (tx) =>
    outbox.publish(tx, tenantChanged, { id: key, slug: key, displayName: String(n), status: 'active' }, { tenant: key }),
  );
}

/** Everything that is on the topic now, in order. */
async function sentTo(bus: EventBus): Promise<BusRecord[]> {
  const records: BusRecord[] = [];
  const follower = await bus.follow({ topics: ['auth.tenants'], apply: (record) => records.push(record) });
  await follower.caughtUp;
  await follower.close();
  return records;
}

function numbersOf(records: readonly BusRecord[], key: string): number[] {
  return records.filter((record) => record.key === key).map((record) => Number(parseRecord(tenantChanged, record).data.displayName));
}

async function pending(database: Database): Promise<number> {
  return (await database.sql.query<{ n: number }>('select count(*)::int as n from outbox')).rows[0]?.n ?? -1;
}

describe('events that were committed', () => {
  it('reach the bus in the order of their commits, and a tombstone too', async () => {
    const { database, bus } = await fixture();
    for (const n of [1, 2, 3]) await announce(database, 'a', n);
    await database.sqlTransaction(ACROSS_TENANTS, (tx) => outbox.remove(tx, tenantChanged, 'b', { tenant: 'b' }));
    const relay = new OutboxRelay({ database, bus, logger, pollIntervalMs: 20 });
    relay.start();
    await vi.waitFor(async () => expect(await pending(database)).toBe(0), { timeout: 15_000 });
    await relay.stop();
    const records = await sentTo(bus);
    expect(numbersOf(records, 'a')).toEqual([1, 2, 3]);
    expect(records.filter((record) => record.key === 'b')).toMatchObject([
      { value: null, headers: { 'event-type': 'auth.tenant.changed.v1' } },
    ]);
  });

  it('do not exist when the transaction did not commit', async () => {
    const { database } = await fixture();
    const attempt = database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      await outbox.publish(tx, tenantChanged, { id: 'a', slug: 'a', displayName: '1', status: 'active' }, { tenant: 'a' });
      throw new Error('changed my mind');
    });
    await expect(attempt).rejects.toThrow('changed my mind');
    expect(await pending(database)).toBe(0);
  });

  it('keep the order of commits for one key: a second writer waits until the transaction of the first ends', async () => {
    const { url, database } = await fixture();
    const release = Promise.withResolvers<void>();
    const wrote = Promise.withResolvers<void>();
    const first = database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      await outbox.publish(tx, tenantChanged, { id: 'a', slug: 'a', displayName: '1', status: 'active' }, { tenant: 'a' });
      wrote.resolve();
      await release.promise;
    });
    await wrote.promise;
    let isSecondCommitted = false;
    const second = announce(database, 'a', 2).then(() => (isSecondCommitted = true));
    await vi.waitFor(async () => expect(isSecondCommitted || (await waitingForKey(url)) === 1).toBe(true), { timeout: 10_000 });
    const didSecondWait = !isSecondCommitted;
    // Another key does not wait.
    await announce(database, 'other', 1);
    release.resolve();
    await Promise.all([first, second]);
    expect(didSecondWait).toBe(true);
    const { rows } = await database.sql.query<{ name: string }>(
      `select value::jsonb->'data'->>'displayName' as name from outbox where key = 'a' order by id`,
    );
    expect(rows.map((row) => row.name)).toEqual(['1', '2']);
  });

  it('stay in the outbox while the bus is away, are measured, and go out when it is back', async () => {
    const { database, bus } = await fixture();
    let isAway = true;
    const flaky: EventBus = Object.assign(Object.create(bus) as EventBus, {
      send: async (...sent: Parameters<EventBus['send']>) => {
        if (isAway) throw new Error('the bus is away');
        await bus.send(...sent);
      },
    });
    const metrics = createMetrics('spec');
    const relay = new OutboxRelay({ database, bus: flaky, logger, metrics, pollIntervalMs: 20 });
    await announce(database, 'a', 1);
    relay.start();
    // Measured although no pass succeeds.
    await vi.waitFor(() => expect(relay.oldestSeconds).toBeGreaterThan(0), { timeout: 15_000 });
    expect(await metrics.metrics()).toMatch(/weir_outbox_pending_rows\{[^}]*\} 1\n/);
    expect(await pending(database)).toBe(1);
    isAway = false;
    await vi.waitFor(async () => expect(await pending(database)).toBe(0), { timeout: 15_000 });
    await relay.stop();
    expect(numbersOf(await sentTo(bus), 'a')).toEqual([1]);
    expect(await metrics.metrics()).toMatch(/weir_outbox_last_sent_timestamp_seconds\{[^}]*\} [1-9]/);
  });

  it('are not sent side by side by two processes of one service', async () => {
    const { database, bus } = await fixture();
    const relays = [1, 2].map(() => new OutboxRelay({ database, bus, logger, pollIntervalMs: 5 }));
    for (const relay of relays) relay.start();
    for (let n = 1; n <= 60; n++) await announce(database, 'a', n);
    await vi.waitFor(async () => expect(await pending(database)).toBe(0), { timeout: 10_000 });
    await Promise.all(relays.map((relay) => relay.stop()));
    expect(numbersOf(await sentTo(bus), 'a')).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });

  it('are neither lost nor reordered when the process is killed again and again', { timeout: 180_000 }, async () => {
    const { url, busUrl, database, bus } = await fixture();
    await database.sql.query('create table written (key text, n int)');
    // Killed after so many more events have left, not after a time: a slow machine must kill at work too, not at the start.
    for (const more of [31, 64, 17, 98]) {
      const before = await relayed(database);
      const child = spawnWriter(url, busUrl);
      await vi.waitFor(async () => expect(await relayed(database)).toBeGreaterThanOrEqual(before + more), {
        timeout: 30_000,
        interval: 10,
      });
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const relay = new OutboxRelay({ database, bus, logger, pollIntervalMs: 20 });
    relay.start();
    await vi.waitFor(async () => expect(await pending(database)).toBe(0), { timeout: 15_000 });
    await relay.stop();
    const records = await sentTo(bus);
    for (const key of ['a', 'b', 'c']) {
      const [written] = await queryOnce<{ last: number }>(url, 'select max(n) as last from written where key = $1', [key]);
      const numbers = numbersOf(records, key);
      expect(written?.last).toBeGreaterThan(10);
      // Sent again after a kill: allowed. The first time that each is seen must be in order, and the newest must be last.
      expect([...new Set(numbers)]).toEqual(Array.from({ length: written?.last ?? 0 }, (_, i) => i + 1));
      expect(numbers.at(-1)).toBe(written?.last);
    }
  });
});

/** Transactions of this database that wait for the lock of a key. */
async function waitingForKey(url: string): Promise<number> {
  const waiting = `select count(*)::int as n from pg_locks l join pg_database d on d.oid = l.database
                   where l.locktype = 'advisory' and not l.granted and d.datname = current_database()`;
  return (await queryOnce<{ n: number }>(url, waiting))[0]?.n ?? 0;
}

/** Events that were committed and have left the outbox. */
async function relayed(database: Database): Promise<number> {
  const counted = 'select ((select count(*) from written) - (select count(*) from outbox))::int as n';
  return (await database.sql.query<{ n: number }>(counted)).rows[0]?.n ?? 0;
}

function spawnWriter(url: string, busUrl: string): ChildProcess {
  const script = path.join(import.meta.dirname, 'relay-process.fixture.ts');
  return spawn(process.execPath, ['--conditions=@weir/source', script, url, busUrl], { stdio: ['ignore', 'inherit', 'inherit'] });
}

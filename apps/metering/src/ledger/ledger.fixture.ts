import { usageRolled, type EventEnvelope, type UsageRolled } from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { eventTypeOf, parseRecord, type BusRecord, type EventBus } from '@weir/platform/bus';
import { ACROSS_TENANTS, Database, migrate, Outbox } from '@weir/platform/database';
import { createLogger, createMetrics } from '@weir/platform/telemetry';
import { freshDatabase, TestClock, type TestDatabase } from '@weir/testing';
import { PrismaClient } from '../generated/prisma/client.ts';
import { PeriodTotalsStore } from '../period-totals/period-totals.store.ts';
import { LedgerConsumer } from './ledger.consumer.ts';
import { LedgerStore } from './ledger.store.ts';
import { ReconciliationStore } from './reconciliation.store.ts';

/** Metering's ledger without the service around it, by default on a database of its own. */
export async function openLedger(given?: TestDatabase) {
  const testDatabase = given ?? (await freshDatabase());
  const url = testDatabase.urlOf('metering');
  await migrate({ url, schema: 'metering' });
  const logger = createLogger({ service: 'metering', instanceId: 'spec', level: 'silent' });
  const database = new Database({
    url,
    schema: 'metering',
    applicationName: 'spec',
    createClient: (adapter) => new PrismaClient({ adapter }),
    logger,
    poolSize: 16,
  });
  const store = new LedgerStore(database, { wake: () => undefined });
  const bus = { subscribe: () => Promise.reject(new Error('the spec hands batches over itself')) } satisfies Pick<EventBus, 'subscribe'>;
  const consumer = new LedgerConsumer(
    store,
    bus,
    logger,
    new TestClock(),
    systemIds,
    { name: 'metering', instanceId: 'metering-spec' },
    createMetrics('metering'),
  );
  const reconciliation = new ReconciliationStore(database);

  async function rows<T extends object>(query: string): Promise<T[]> {
    return (await database.sqlTransaction(ACROSS_TENANTS, (client) => client.query<T>(query))).rows;
  }

  /** Announcements to billing, in order, as records of one partition. */
  async function told(): Promise<BusRecord[]> {
    const outbox = await rows<{ id: string; key: string; value: string; headers: Record<string, string> }>(
      `select id, key, value, headers from outbox where topic = '${usageRolled.topic}' order by id`,
    );
    return outbox.map(({ id, ...record }) => ({ ...record, topic: usageRolled.topic, partition: 0, offset: Number(id), timestampMs: 0 }));
  }

  return {
    database,
    store,
    consumer,
    rows,
    told,
    periodTotals: new PeriodTotalsStore(database, new Outbox({ source: 'metering-spec', clock: new TestClock(), ids: systemIds })),
    reconcile: (tenantId: string) => reconciliation.reconcile(tenantId),
    /** The hourly totals that were announced, in order. */
    announced: async (): Promise<EventEnvelope<UsageRolled>[]> =>
      (await told()).filter((record) => eventTypeOf(record) === usageRolled.type).map((record) => parseRecord(usageRolled, record)),
    close: () => database.close(),
  };
}

export type OpenLedger = Awaited<ReturnType<typeof openLedger>>;

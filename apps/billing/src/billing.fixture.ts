import { systemIds } from '@weir/kernel';
import { createEventBus } from '@weir/platform/bus';
import { Database, migrate, Outbox } from '@weir/platform/database';
import { Readiness } from '@weir/platform/service';
import { createLogger } from '@weir/platform/telemetry';
import { TestClock, type TestDatabase } from '@weir/testing';
import { PrismaClient } from './generated/prisma/client.ts';
import { InvoicesService } from './invoices/invoices.service.ts';
import { PlansService } from './plans/plans.service.ts';
import { PlansStore } from './plans/plans.store.ts';
import { ReconciliationStore } from './reconciliation/reconciliation.store.ts';
import { TenantDirectory } from './tenants/tenant-directory.ts';
import { UsageSumsStore } from './usage/usage-sums.store.ts';
import { UsageConsumer } from './usage/usage.consumer.ts';

/** Billing's use cases without the service around them; batches of totals are handed to `consumer`. */
export async function openBilling(testDatabase: TestDatabase, clock = new TestClock()) {
  const url = testDatabase.urlOf('billing');
  await migrate({ url, schema: 'billing' });
  const logger = createLogger({ service: 'billing', instanceId: 'spec', level: 'silent' });
  const database = new Database({
    url,
    schema: 'billing',
    applicationName: 'spec',
    createClient: (adapter) => new PrismaClient({ adapter }),
    logger,
  });
  const plansStore = new PlansStore(database);
  const sums = new UsageSumsStore(database);
  const outbox = new Outbox({ source: 'billing-spec', clock, ids: systemIds });
  const bus = createEventBus({ kind: 'embedded', url: testDatabase.busUrl }, { logger, clientId: 'spec' });
  const tenants = new TenantDirectory(bus, logger, new Readiness());
  const plans = new PlansService(plansStore, tenants, database, outbox, clock, systemIds);
  const reconciliation = new ReconciliationStore(database, outbox);
  const { consumer } = new UsageConsumer(plansStore, sums, reconciliation, bus, database, logger);
  return {
    plans,
    invoices: new InvoicesService(sums, plansStore, clock),
    consumer,
    database,
    reconciliation,
    close: async () => {
      await bus.close();
      await database.close();
    },
  };
}

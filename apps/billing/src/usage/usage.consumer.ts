import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { PLATFORM_TENANT_ID } from '@weir/access';
import { periodTotalled, usageRolled } from '@weir/contracts';
import { parseRecord, PoisonRecordError, type EventBus } from '@weir/platform/bus';
import { Database, EventConsumer, type RecordHandler } from '@weir/platform/database';
import { EVENT_BUS, LOGGER } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import { PlansStore } from '../plans/plans.store.ts';
import { ReconciliationStore } from '../reconciliation/reconciliation.store.ts';
import { refusal, refusalOfTotals } from './usage-sum.ts';
import { UsageSumsStore } from './usage-sums.store.ts';

/** The consumer group; its dead letters go to `billing.dead`. */
export const BILLING_GROUP = 'billing';

/** Reads the hourly sums that metering announces, and the totals to compare them with. */
@Injectable()
export class UsageConsumer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #plans: PlansStore;
  readonly #sums: UsageSumsStore;
  readonly #reconciliation: ReconciliationStore;
  readonly #logger: Logger;
  /** Exposed for specs that hand batches over themselves. */
  readonly consumer: EventConsumer;

  constructor(
    @Inject(PlansStore) plans: PlansStore,
    @Inject(UsageSumsStore) sums: UsageSumsStore,
    @Inject(ReconciliationStore) reconciliation: ReconciliationStore,
    @Inject(EVENT_BUS) bus: EventBus,
    @Inject(Database) database: Database,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.#plans = plans;
    this.#sums = sums;
    this.#reconciliation = reconciliation;
    this.#logger = logger;
    this.consumer = new EventConsumer({
      group: BILLING_GROUP,
      bus,
      database,
      logger,
      handlers: [this.#sumsHandler(), this.#totalsHandler()],
      areEffectsIdempotent: true,
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.consumer.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.consumer.close();
  }

  /** Records are judged one by one, so that the one that is refused can be named to the bus. */
  #sumsHandler(): RecordHandler {
    return {
      topic: usageRolled.topic,
      type: usageRolled.type,
      isTombstone: false,
      apply: async (records, tx) => {
        const events = records.map((record) => ({ record, event: parseRecord(usageRolled, record) }));
        const lists = await this.#plans.priceLists(
          PLATFORM_TENANT_ID,
          events.map(({ event }) => event.data.priceListId).filter(isPlainText),
        );
        const sums = events.map(({ record, event }) => {
          const reason = refusal(event, lists.get(event.data.priceListId));
          if (reason !== null) throw new PoisonRecordError(record, reason);
          return event.data;
        });
        await this.#sums.keepLatest(tx, sums);
      },
    };
  }

  #totalsHandler(): RecordHandler {
    return {
      topic: periodTotalled.topic,
      type: periodTotalled.type,
      isTombstone: false,
      apply: async (records, tx) => {
        for (const record of records) {
          const { tenant, occurredAt, data } = parseRecord(periodTotalled, record);
          const reason = refusalOfTotals({ tenant, data });
          if (reason !== null) throw new PoisonRecordError(record, reason);
          const differences = await this.#reconciliation.compare(tx, data, new Date(occurredAt));
          if (differences === null || differences.length === 0) continue;
          const { tenantId, periodStart } = data;
          this.#logger.warn({ tenantId, periodStart, differences }, 'the sums of a period are not what metering counted');
        }
      },
    };
  }
}

/** PostgreSQL refuses a zero character even in a question. */
function isPlainText(text: string): boolean {
  return !text.includes('\u0000');
}

import { Inject, Injectable } from '@nestjs/common';
import { LOGGER, METRICS } from '@weir/platform/service';
import { Gauge, type Logger, type Registry } from '@weir/platform/telemetry';
import { ReconciliationStore, type ReconciliationAlarm } from './reconciliation.store.ts';

/** Alarm of the operator: periods whose sums are not what metering counted. Read from the database when it is scraped. */
@Injectable()
export class ReconciliationMetrics {
  #alarm: ReconciliationAlarm = { unequal: 0, unequalSinceSeconds: null, statedAtSeconds: null };

  constructor(@Inject(ReconciliationStore) store: ReconciliationStore, @Inject(LOGGER) logger: Logger, @Inject(METRICS) metrics: Registry) {
    // One reading for all three: the others of the same scrape show what the first one read.
    const read = async (): Promise<void> => {
      try {
        this.#alarm = await store.alarm();
      } catch (error) {
        logger.debug({ err: error }, 'the state of reconciliation cannot be read; its metrics stay as they are');
      }
    };
    const gauge = (name: string, help: string, value: () => number, before: () => Promise<void>): void => {
      new Gauge({
        name,
        help,
        registers: [metrics],
        async collect() {
          await before();
          this.set(value());
        },
      });
    };
    let reading: Promise<void> | undefined;
    const shared = (): Promise<void> => (reading ??= read().finally(() => (reading = undefined)));
    gauge(
      'weir_billing_unreconciled_periods',
      'Months of tenants whose sums are not what metering counted',
      () => this.#alarm.unequal,
      shared,
    );
    gauge(
      'weir_billing_unreconciled_since_seconds',
      'Since when the oldest of them is so, in seconds since 1970; 0 when there is none',
      () => this.#alarm.unequalSinceSeconds ?? 0,
      shared,
    );
    gauge(
      'weir_billing_reconciled_at_seconds',
      'When metering wrote the latest totals that were compared, in seconds since 1970; 0 before the first',
      () => this.#alarm.statedAtSeconds ?? 0,
      shared,
    );
  }
}

import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { EventBus } from '@weir/platform/bus';
import { EVENT_BUS, LOGGER, METRICS, Readiness, SETTINGS } from '@weir/platform/service';
import { Counter, Gauge, type Logger, type Registry } from '@weir/platform/telemetry';
import type { GatewaySettings } from '../settings.ts';
import { UsageSpool } from './usage-spool.ts';

/** Part of the shutdown's time that goes to shipping what is left; the rest stays on the disk for the next process. */
const LAST_SHIPMENT_MS = 3_000;

/** The durable way of usage events from the pipeline to the bus. */
@Module({
  providers: [
    {
      provide: UsageSpool,
      inject: [SETTINGS, EVENT_BUS, LOGGER, METRICS, Readiness],
      useFactory: async (
        settings: GatewaySettings,
        bus: EventBus,
        logger: Logger,
        metrics: Registry,
        readiness: Readiness,
      ): Promise<UsageSpool> => {
        const spool = await UsageSpool.open(
          { directory: settings.spoolDirectory, sync: settings.spoolSync, maxBytes: settings.spoolMaxBytes },
          bus,
          logger,
        );
        new Gauge({
          name: 'weir_usage_spool_bytes',
          help: 'Usage that is on disk and not yet on the bus',
          registers: [metrics],
          collect() {
            this.set(spool.pendingBytes);
          },
        });
        new Gauge({
          name: 'weir_usage_spool_waiting_seconds',
          help: 'Time for which usage has waited on the disk without any of it reaching the bus; 0 when none waits',
          registers: [metrics],
          collect() {
            this.set(spool.waitingMs / 1000);
          },
        });
        new Counter({
          name: 'weir_usage_spool_write_failures_total',
          help: 'Usage records that could not be written to the disk; their calls were refused with usage.unrecordable',
          registers: [metrics],
          collect() {
            this.reset();
            this.inc(spool.failedWrites);
          },
        });
        readiness.add('spool', () => ({
          state: spool.hasFailed || spool.waitingMs > settings.degradedAfterMs ? 'degraded' : 'ok',
          detail: `${spool.hasFailed ? 'the last write failed; ' : ''}${spool.pendingBytes} bytes of usage wait, for ${Math.round(spool.waitingMs / 1000)} s`,
        }));
        return spool;
      },
    },
  ],
  exports: [UsageSpool],
})
export class SpoolModule implements OnApplicationShutdown {
  constructor(@Inject(UsageSpool) private readonly spool: UsageSpool) {}

  /** After the last request was answered and before the bus is closed: modules stop in the reverse of their imports. */
  async onApplicationShutdown(): Promise<void> {
    await this.spool.close(LAST_SHIPMENT_MS);
  }
}

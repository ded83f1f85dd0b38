import path from 'node:path';
import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Clock } from '@weir/kernel';
import { CLOCK, LOGGER, METRICS, SETTINGS } from '@weir/platform/service';
import { Gauge, type Logger, type Registry } from '@weir/platform/telemetry';
import type { GatewaySettings } from '../../settings.ts';
import { SpoolModule } from '../../spool/spool.module.ts';
import { UsageSpool } from '../../spool/usage-spool.ts';
import { IdempotentCalls } from './idempotent-calls.ts';
import { KeptAnswers } from './kept-answers.ts';

const SWEEP_MS = 60_000;

/** Calls with an idempotency key, and the answers that are kept for them in a folder of the usage spool's. */
@Module({
  imports: [SpoolModule],
  providers: [
    {
      provide: KeptAnswers,
      // The spool has claimed the folder: no other process uses what is in it.
      inject: [UsageSpool, SETTINGS, CLOCK, LOGGER, METRICS],
      useFactory: async (
        _: UsageSpool,
        settings: GatewaySettings,
        clock: Clock,
        logger: Logger,
        metrics: Registry,
      ): Promise<KeptAnswers> => {
        const directory = path.join(settings.spoolDirectory, 'answers');
        const answers = await KeptAnswers.open(
          { directory, maxBytes: settings.keptAnswersMaxBytes, maxKeys: settings.idempotencyMaxKeys },
          clock,
          logger,
        );
        new Gauge({
          name: 'weir_kept_answers_bytes',
          help: 'Answers on disk for calls with an idempotency key',
          registers: [metrics],
          collect() {
            this.set(answers.totalBytes);
          },
        });
        return answers;
      },
    },
    IdempotentCalls,
  ],
  exports: [IdempotentCalls],
})
export class IdempotencyModule implements OnApplicationShutdown {
  readonly #answers: KeptAnswers;
  readonly #sweep: NodeJS.Timeout;

  constructor(@Inject(KeptAnswers) answers: KeptAnswers, @Inject(LOGGER) logger: Logger) {
    this.#answers = answers;
    this.#sweep = setInterval(() => {
      answers.sweep().catch((error: unknown) => logger.error({ err: error }, 'expired answers could not be deleted'));
    }, SWEEP_MS);
    this.#sweep.unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#answers.close();
  }
}

import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { usageMismatched, usageMismatchKey, type UsageMismatched } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { projectionOf, type EventBus, type Projection } from '@weir/platform/bus';
import { CLOCK, EVENT_BUS, LOGGER, METRICS, SETTINGS } from '@weir/platform/service';
import { Counter, type Logger, type Registry } from '@weir/platform/telemetry';
import type { MeteringSettings } from '../settings.ts';
import { comparedMonth, comparedPeriods, type Period } from './period.ts';
import { PeriodTotalsStore } from './period-totals.store.ts';

/** Least time between two repetitions of a period: one that does not help is not tried at the pace of the bus. */
const REPETITION_GAP_MS = 60_000;

type Mismatches = { readonly mismatches: typeof usageMismatched };

interface TenantPeriod {
  readonly tenantId: string;
  readonly period: Period;
}

/**
 * States the totals of the running and the previous month to billing, at the start and regularly. Where billing answers that its
 * sums are others, every hourly sum of the period is announced again before the next totals, at once and with each of them until
 * they agree, whatever month it is. Several processes may do it side by side: repetitions change nothing.
 */
@Injectable()
export class PeriodTotalsPublisher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #store: PeriodTotalsStore;
  readonly #bus: EventBus;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: MeteringSettings;
  readonly #repetitions: Counter;
  /** As the projection has them; kept here because the first come before it is there. */
  readonly #mismatches = new Map<string, UsageMismatched>();
  readonly #repeatedAtMs = new Map<string, number>();
  readonly #due = new Map<string, TenantPeriod>();
  #projection: Projection<Mismatches> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #passing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #isStopping = false;

  constructor(
    @Inject(PeriodTotalsStore) store: PeriodTotalsStore,
    @Inject(EVENT_BUS) bus: EventBus,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: Logger,
    @Inject(SETTINGS) settings: MeteringSettings,
    @Inject(METRICS) metrics: Registry,
  ) {
    this.#store = store;
    this.#bus = bus;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
    this.#repetitions = new Counter({
      name: 'weir_metering_periods_repeated_total',
      help: 'Periods of a tenant whose hourly sums were announced again, because billing had others',
      registers: [metrics],
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#projection = await projectionOf({
      bus: this.#bus,
      logger: this.#logger,
      events: { mismatches: usageMismatched },
      onChange: ({ key, value }) => {
        if (value === undefined) {
          this.#mismatches.delete(key);
          this.#repeatedAtMs.delete(key);
          return;
        }
        this.#mismatches.set(key, value);
        const due = this.#mismatched(value);
        if (due !== null && this.#mayRepeat(due)) this.#enqueue(due);
      },
    });
    this.#startPass();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    await this.#projection?.close();
    await Promise.all([this.#passing, this.#draining]);
  }

  #startPass(): void {
    this.#passing = this.#pass();
  }

  async #pass(): Promise<void> {
    try {
      for (const period of comparedPeriods(this.#clock.now()))
        for (const tenantId of await this.#store.tenants(period)) this.#enqueue({ tenantId, period });
      // Also those of months that are not stated otherwise any more.
      for (const mismatch of this.#mismatches.values()) {
        const due = this.#mismatched(mismatch);
        if (due !== null) this.#enqueue(due);
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'the totals of the periods could not be stated; they are at the next time');
    }
    if (!this.#isStopping) this.#timer = setTimeout(() => this.#startPass(), this.#settings.reconciliationIntervalMs);
  }

  #mismatched({ tenantId, periodStart }: UsageMismatched): TenantPeriod | null {
    const period = comparedMonth(Date.parse(periodStart), this.#clock.now());
    return period === null ? null : { tenantId, period };
  }

  #enqueue(due: TenantPeriod): void {
    this.#due.set(keyOf(due), due);
    this.#draining ??= this.#drain();
  }

  /** One at a time, so that stating many never takes more than one connection. What is added meanwhile is visited too. */
  async #drain(): Promise<void> {
    for (const [key, due] of this.#due) {
      this.#due.delete(key);
      if (this.#isStopping) return;
      const { tenantId, period } = due;
      try {
        if (this.#mismatches.has(key) && this.#mayRepeat(due)) {
          this.#repeatedAtMs.set(key, performance.now());
          this.#repetitions.inc();
          this.#logger.warn({ tenantId, periodStart: period.start }, 'billing has other sums of a period; they are announced again');
          await this.#store.repeat(tenantId, period);
        }
        await this.#store.state(tenantId, period);
      } catch (error) {
        this.#logger.warn({ err: error, tenantId }, 'the totals of a period could not be stated; they are at the next time');
      }
    }
    this.#draining = undefined;
  }

  #mayRepeat(due: TenantPeriod): boolean {
    const repeatedAtMs = this.#repeatedAtMs.get(keyOf(due)) ?? -Infinity;
    return performance.now() - repeatedAtMs >= REPETITION_GAP_MS;
  }
}

function keyOf({ tenantId, period }: TenantPeriod): string {
  return usageMismatchKey({ tenantId, periodStart: period.start.toISOString() });
}

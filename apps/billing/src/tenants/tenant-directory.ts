import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { tenantChanged } from '@weir/contracts';
import { projectionOf, type EventBus, type Projection } from '@weir/platform/bus';
import { EVENT_BUS, LOGGER, Readiness } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';

/** A tenant that auth has made is known here within milliseconds; this covers a busy machine. */
const NEWCOMER_TIMEOUT_MS = 2_000;

type Tenants = { readonly tenants: typeof tenantChanged };

/** The tenants that auth tells of, in memory. */
@Injectable()
export class TenantDirectory implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #waiting = new Set<() => void>();
  #projection: Projection<Tenants> | undefined;

  constructor(@Inject(EVENT_BUS) bus: EventBus, @Inject(LOGGER) logger: Logger, @Inject(Readiness) readiness: Readiness) {
    this.#bus = bus;
    this.#logger = logger;
    readiness.add('tenants', () => this.#projection?.isCaughtUp() ?? false);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#projection = await projectionOf({
      bus: this.#bus,
      logger: this.#logger,
      events: { tenants: tenantChanged },
      onChange: () => {
        for (const look of this.#waiting) look();
      },
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#projection?.close();
  }

  /** Is there such a tenant? One that is not known yet is waited for up to `timeoutMs`, because events take a moment. */
  async knows(tenantId: string, timeoutMs = NEWCOMER_TIMEOUT_MS): Promise<boolean> {
    const isKnown = (): boolean => this.#projection?.maps.tenants.has(tenantId) ?? false;
    if (isKnown()) return true;
    return new Promise((resolve) => {
      const look = (isLast = false): void => {
        if (!isKnown() && !isLast) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(isKnown());
      };
      const timer = setTimeout(() => look(true), timeoutMs);
      this.#waiting.add(look);
    });
  }
}

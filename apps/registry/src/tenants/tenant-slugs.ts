import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { tenantChanged } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { projectionOf, type EventBus, type Projection } from '@weir/platform/bus';
import { EVENT_BUS, LOGGER, Readiness } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';

/** The short names of tenants, followed from auth: they stand in the names of the tenants' own models. */
@Injectable()
export class TenantSlugs implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #readiness: Readiness;
  #projection: Projection<{ tenants: typeof tenantChanged }> | null = null;

  constructor(@Inject(EVENT_BUS) bus: EventBus, @Inject(LOGGER) logger: Logger, @Inject(Readiness) readiness: Readiness) {
    this.#bus = bus;
    this.#logger = logger;
    this.#readiness = readiness;
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#readiness.add('tenants', () => this.#projection?.isCaughtUp() ?? false);
    this.#projection = await projectionOf({ bus: this.#bus, logger: this.#logger, events: { tenants: tenantChanged } });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#projection?.close();
  }

  /** Is there such a tenant, as far as its record has arrived here? */
  knows(tenantId: string): boolean {
    return this.#projection?.maps.tenants.has(tenantId) ?? false;
  }

  /** @throws service.unavailable the tenant's name has not arrived here yet */
  slugOf(tenantId: string): string {
    const slug = this.#projection?.maps.tenants.get(tenantId)?.slug;
    if (slug === undefined)
      throw new AppError('service.unavailable', { message: 'The tenant is not known here yet.', retryAfterMs: 1_000 });
    return slug;
  }
}

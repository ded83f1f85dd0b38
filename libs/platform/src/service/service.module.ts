import { Global, Inject, Module, type DynamicModule, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InternalTokenSigner, InternalTokenVerifier, type InternalKeySet, type InternalSigningKey } from '@weir/access';
import { topicsOf, type TopicDefinition } from '@weir/contracts';
import { systemClock, systemIds, type Clock, type Ids } from '@weir/kernel';
import type { EventBus } from '../bus/event-bus.ts';
import type { Logger, Registry } from '../telemetry/index.ts';
import { awaitPostgres } from './await-postgres.ts';
import type { BaseSettings } from './base-settings.ts';
import { ConsumerMonitor } from './consumer-monitor.ts';
import { Readiness } from './readiness.ts';
import {
  CLOCK,
  EVENT_BUS,
  IDS,
  KEY_SET,
  LOGGER,
  METRICS,
  SERVICE,
  SETTINGS,
  TOKEN_SIGNER,
  TOKEN_VERIFIER,
  type ServiceIdentity,
} from './tokens.ts';

/** What the boot made before Nest: given to the module, so that specs can give their own. */
export interface ServiceParts {
  readonly service: ServiceIdentity;
  readonly settings: BaseSettings;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly bus: EventBus;
  readonly signingKey: InternalSigningKey;
  readonly keySet: InternalKeySet;
  readonly clock?: Clock;
  readonly ids?: Ids;
}

/** Creates the service's topics before anything reads or writes, and closes the bus after everything else has stopped. */
class BusLifecycle implements OnModuleInit, OnApplicationShutdown {
  readonly #bus: EventBus;
  readonly #readiness: Readiness;
  readonly #settings: BaseSettings;
  readonly #logger: Logger;
  readonly #topics: readonly TopicDefinition[];
  readonly #consumers: ConsumerMonitor;

  constructor(
    @Inject(EVENT_BUS) bus: EventBus,
    @Inject(Readiness) readiness: Readiness,
    @Inject(SERVICE) service: ServiceIdentity,
    @Inject(SETTINGS) settings: BaseSettings,
    @Inject(LOGGER) logger: Logger,
    @Inject(ConsumerMonitor) consumers: ConsumerMonitor,
  ) {
    this.#bus = bus;
    this.#readiness = readiness;
    this.#settings = settings;
    this.#logger = logger;
    this.#consumers = consumers;
    this.#topics = topicsOf(service.name, { size: settings.busSize, retentionDays: settings.busRetentionDays });
  }

  async onModuleInit(): Promise<void> {
    const { bus, busUrl } = this.#settings;
    if (bus === 'embedded' && busUrl !== undefined) await awaitPostgres({ ...this.#settings, url: busUrl, logger: this.#logger });
    await this.#bus.ensureTopics(this.#topics);
    // Only the first contact: a service that has state to serve stays ready while the bus is away.
    let hasBeenHealthy = false;
    this.#readiness.add('bus', async () => (hasBeenHealthy ||= await this.#bus.isHealthy()));
    this.#readiness.add('consumers', () => this.#consumers.check());
  }

  async onApplicationShutdown(): Promise<void> {
    this.#consumers.stop();
    await this.#bus.close();
  }
}

/** The providers that every service has (see `tokens.ts`). */
@Global()
@Module({})
export class ServiceModule {
  static register(parts: ServiceParts): DynamicModule {
    const { bus, metrics, logger, settings } = parts;
    const consumers = new ConsumerMonitor({ bus, metrics, logger, degradedAfterMs: settings.degradedAfterMs });
    const values = [
      { provide: SERVICE, useValue: parts.service },
      { provide: SETTINGS, useValue: parts.settings },
      { provide: LOGGER, useValue: parts.logger },
      { provide: METRICS, useValue: parts.metrics },
      { provide: EVENT_BUS, useValue: consumers.bus },
      { provide: CLOCK, useValue: parts.clock ?? systemClock },
      { provide: IDS, useValue: parts.ids ?? systemIds },
      { provide: KEY_SET, useValue: parts.keySet },
      { provide: TOKEN_SIGNER, useValue: new InternalTokenSigner(parts.signingKey) },
      { provide: TOKEN_VERIFIER, useValue: new InternalTokenVerifier(parts.service.name, parts.keySet) },
    ];
    const exported = values.map((value) => value.provide);
    return {
      module: ServiceModule,
      providers: [...values, { provide: ConsumerMonitor, useValue: consumers }, Readiness, BusLifecycle],
      exports: [...exported, Readiness],
    };
  }
}

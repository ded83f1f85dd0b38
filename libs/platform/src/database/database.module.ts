import path from 'node:path';
import {
  Inject,
  Injectable,
  Module,
  type BeforeApplicationShutdown,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { PrismaPg } from '@prisma/adapter-pg';
import type { Clock, Ids } from '@weir/kernel';
import type { EventBus } from '../bus/event-bus.ts';
import { SettingsError } from '../config/index.ts';
import type { BaseSettings } from '../service/base-settings.ts';
import { awaitPostgres } from '../service/await-postgres.ts';
import { Readiness } from '../service/readiness.ts';
import { CLOCK, EVENT_BUS, IDS, LOGGER, METRICS, SERVICE, SETTINGS, type ServiceIdentity } from '../service/tokens.ts';
import type { Logger, Registry } from '../telemetry/index.ts';
import { Database, type PrismaClientLike } from './database.ts';
import { migrate } from './migrate.ts';
import { OutboxRelay } from './outbox-relay.ts';
import { Outbox } from './outbox.ts';

export interface DatabaseModuleOptions<Client extends PrismaClientLike> {
  /** Name of the service: also of its schema and of its folder under `prisma/`. */
  readonly service: string;
  /** `(adapter) => new PrismaClient({ adapter })` with the service's generated client. */
  readonly createClient: (adapter: PrismaPg) => Client;
}

/** Starts and stops the relay with the service, and says in readiness whether the database answers. */
@Injectable()
class DatabaseLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #database: Database;
  readonly #relay: OutboxRelay;

  constructor(
    @Inject(Database) database: Database,
    @Inject(OutboxRelay) relay: OutboxRelay,
    @Inject(Outbox) outbox: Outbox,
    @Inject(Readiness) readiness: Readiness,
    @Inject(SETTINGS) { degradedAfterMs }: BaseSettings,
  ) {
    this.#database = database;
    this.#relay = relay;
    readiness.add('database', () => database.isHealthy());
    readiness.add('outbox', () => ({
      state: relay.oldestSeconds * 1000 > degradedAfterMs ? 'degraded' : 'ok',
      detail: `the oldest event that is not on the bus is ${Math.round(relay.oldestSeconds)} s old`,
    }));
    database.onCommitted((tx) => {
      if (outbox.hasWritten(tx)) relay.wake();
    });
  }

  onApplicationBootstrap(): void {
    this.#relay.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#relay.stop();
  }

  /** Requests in hand have ended by now. */
  async onApplicationShutdown(): Promise<void> {
    await this.#database.close();
  }
}

/** Gives a service its `Database`, `Outbox` and `OutboxRelay`; its schema is migrated before anything else is made. */
@Module({})
export class DatabaseModule {
  static forService<Client extends PrismaClientLike>(options: DatabaseModuleOptions<Client>): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        {
          provide: Database,
          inject: [SETTINGS, LOGGER, SERVICE],
          useFactory: async (settings: BaseSettings, logger: Logger, service: ServiceIdentity) => {
            const url = settings.databaseUrl;
            if (url === undefined) throw new SettingsError(['WEIR_DATABASE_URL: must be set for a service that keeps state']);
            const directory =
              settings.migrationsDirectory === undefined
                ? undefined
                : path.join(settings.migrationsDirectory, options.service, 'migrations');
            await awaitPostgres({ ...settings, url, logger });
            const applied = await migrate({ url, schema: options.service, directory });
            if (applied.length > 0) logger.info({ applied }, 'database migrated');
            return new Database({
              url,
              schema: options.service,
              applicationName: `weir ${service.instanceId}`,
              createClient: options.createClient,
              logger,
            });
          },
        },
        {
          provide: Outbox,
          inject: [SERVICE, CLOCK, IDS],
          useFactory: (service: ServiceIdentity, clock: Clock, ids: Ids) => new Outbox({ source: service.instanceId, clock, ids }),
        },
        {
          provide: OutboxRelay,
          inject: [Database, EVENT_BUS, LOGGER, METRICS],
          useFactory: (database: Database, bus: EventBus, logger: Logger, metrics: Registry) =>
            new OutboxRelay({ database, bus, logger, metrics }),
        },
        DatabaseLifecycle,
      ],
      exports: [Database, Outbox, OutboxRelay],
    };
  }
}

import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { LOGGER, METRICS, mountHealth, mountMetrics, Readiness, SETTINGS } from '@weir/platform/service';
import type { Logger, Registry } from '@weir/platform/telemetry';
import fastify from 'fastify';
import type { GatewaySettings } from './settings.ts';

/** Metrics and health on a port that is not public. */
@Injectable()
export class InternalPort implements OnModuleInit, OnApplicationShutdown {
  readonly #server = fastify({ forceCloseConnections: true });

  constructor(
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(METRICS) private readonly metrics: Registry,
    @Inject(Readiness) private readonly readiness: Readiness,
  ) {}

  async onModuleInit(): Promise<void> {
    mountMetrics(this.#server, this.metrics);
    mountHealth(this.#server, this.readiness);
    const url = await this.#server.listen({ host: this.settings.internalHost, port: this.settings.internalPort });
    this.logger.info({ url }, 'internal port listening');
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#server.close();
  }
}

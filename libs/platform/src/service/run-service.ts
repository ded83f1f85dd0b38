import { randomBytes } from 'node:crypto';
import { Module, type DynamicModule, type ExceptionFilter, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { InternalTokenVerifier } from '@weir/access';
import { createEventBus } from '../bus/index.ts';
import { loadSettings, readEnvironment, SettingsError, type SettingDefinitions, type SettingsOf } from '../config/index.ts';
import { hangUpWhenAnswered } from '../http/hang-up.ts';
import { AppErrorFilter, trustIn } from '../http/index.ts';
import { createLogger, createMetrics, startTracing, type Logger } from '../telemetry/index.ts';
import { baseSettings, type BaseSettings } from './base-settings.ts';
import { busConfigOf } from './bus-config.ts';
import { refuseBadAddress, refuseBrokenRequest, refuseCompressedBodies, refuseWhileStopping } from './early-refusals.ts';
import { guardInternalPort, mountHealth, mountMetrics, timeRequests, traceRequests } from './http-surface.ts';
import { readKeySet, readSigningKey } from './keys.ts';
import { NestLogger } from './nest-logger.ts';
import { Readiness } from './readiness.ts';
import { ServiceModule, type ServiceParts } from './service.module.ts';
import { TOKEN_VERIFIER } from './tokens.ts';

/** Largest body that a service takes on its internal port, unless it says otherwise. */
const DEFAULT_BODY_LIMIT_BYTES = 1_048_576;

export interface ServiceDefinition<D extends SettingDefinitions> {
  /** Name of the service: audience of the tokens it accepts, name of its schema, label of its metrics. */
  readonly name: string;
  readonly module: Type | DynamicModule;
  /** Its own settings, beside the base ones. */
  readonly settings: D;
  /** Largest body in bytes; may depend on the settings. */
  readonly bodyLimitBytes?: (settings: SettingsOf<D>) => number;
  /** `public` for the edge alone: no internal token is asked, metrics are not served on its port. */
  readonly surface?: 'internal' | 'public';
  /** Proxies whose `X-Forwarded-…` headers are believed, as `trustIn` takes them; none when absent. */
  readonly trustedProxies?: (settings: SettingsOf<D>) => readonly string[];
  /** Answers the errors of HTTP handlers, and those before them (a body too large), in another shape than the REST one. */
  readonly errorFilter?: (logger: Logger) => ExceptionFilter;
  /** What other processes of the service measure, each in prom-client's JSON; added up with what this one measures. */
  readonly moreMetrics?: (app: NestFastifyApplication) => Promise<readonly unknown[]>;
}

export interface RunningService {
  readonly app: NestFastifyApplication;
  /** Address that it listens on. */
  readonly url: string;
  close(): Promise<void>;
}

/** Boots a service from its parts and listens. Used by `runService`, and by specs with parts of their own. */
export async function startService<D extends SettingDefinitions>(
  definition: ServiceDefinition<D>,
  parts: ServiceParts & { readonly settings: BaseSettings & SettingsOf<D> },
): Promise<RunningService> {
  const adapter = new FastifyAdapter({
    trustProxy: trustIn(definition.trustedProxies?.(parts.settings) ?? []),
    // A request that arrives while the process stops gets an answer of the error table, from `refuseWhileStopping`.
    return503OnClosing: false,
    bodyLimit: definition.bodyLimitBytes?.(parts.settings) ?? DEFAULT_BODY_LIMIT_BYTES,
    forceCloseConnections: 'idle',
    // A caller that sends its request slower than this is cut off; the answer may take longer.
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: refuseBrokenRequest,
    frameworkErrors: refuseBadAddress(parts.logger),
  });
  @Module({ imports: [ServiceModule.register(parts), definition.module] })
  class RootModule {}
  const app = await NestFactory.create<NestFastifyApplication>(RootModule, adapter, {
    logger: new NestLogger(parts.logger),
    abortOnError: false,
  });
  app.useGlobalFilters(definition.errorFilter?.(parts.logger) ?? new AppErrorFilter(parts.logger));
  const fastify = adapter.getInstance();
  const readiness = app.get(Readiness);
  const hangUp = hangUpWhenAnswered(fastify);
  refuseWhileStopping(fastify, readiness);
  refuseCompressedBodies(fastify);
  timeRequests(fastify, parts.metrics);
  traceRequests(fastify);
  if (definition.surface !== 'public') {
    guardInternalPort(fastify, app.get<InternalTokenVerifier>(TOKEN_VERIFIER), parts.logger);
    const { moreMetrics } = definition;
    mountMetrics(fastify, parts.metrics, moreMetrics === undefined ? undefined : () => moreMetrics(app));
  }
  mountHealth(fastify, readiness, { isPublic: definition.surface === 'public' });
  await app.listen(parts.settings.port, parts.settings.host);
  const address = fastify.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : parts.settings.port;
  return {
    app,
    url: `http://${parts.settings.host.includes(':') ? `[${parts.settings.host}]` : parts.settings.host}:${port}`,
    close: async () => {
      readiness.drain();
      await hangUp(() => app.close());
    },
  };
}

/**
 * The whole of a service's `main`: parses its settings once, boots it, and stops it when it is told to
 * (SIGTERM, SIGINT, or the launcher that started it is gone).
 */
export async function runService<D extends SettingDefinitions>(definition: ServiceDefinition<D>): Promise<void> {
  const settings = settingsOrExit(definition);
  const service = { name: definition.name, instanceId: `${definition.name}-${randomBytes(4).toString('hex')}` };
  const logger = createLogger({ service: service.name, instanceId: service.instanceId, level: settings.logLevel });
  const tracing = startTracing({ service: service.name, otlpEndpoint: settings.otlpEndpoint });
  try {
    const bus = createEventBus(busConfigOf(settings), { logger, clientId: service.instanceId });
    const running = await startService(definition, {
      service,
      settings,
      logger,
      metrics: createMetrics(service.name),
      bus,
      signingKey: await readSigningKey(service.name, settings.signingKeyFile),
      keySet: await readKeySet(settings.internalKeysFile),
    });
    logger.info({ url: running.url }, 'listening');
    stopOnSignal(settings.shutdownTimeoutMs, logger, async () => {
      await running.close();
      await tracing.shutdown();
    });
  } catch (error) {
    // What only the machine can tell, such as a device that is missing, is found while booting.
    if (error instanceof SettingsError) exitForSettings(definition.name, error);
    logger.fatal({ err: error }, 'cannot start');
    process.exitCode = 1;
    // What was opened before the failure must not keep the process alive.
    setTimeout(() => process.exit(1), 500).unref();
  }
}

function settingsOrExit<D extends SettingDefinitions>(definition: ServiceDefinition<D>): BaseSettings & SettingsOf<D> {
  try {
    const settings = loadSettings({ ...baseSettings, ...definition.settings }, readEnvironment()) as BaseSettings & SettingsOf<D>;
    busConfigOf(settings);
    return settings;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    exitForSettings(definition.name, error);
  }
}

function exitForSettings(service: string, error: SettingsError): never {
  process.stderr.write(`weir ${service}: ${error.message}\n`);
  process.exit(78); // EX_CONFIG of sysexits.h: a restart would not help
}

function stopOnSignal(timeoutMs: number, logger: ReturnType<typeof createLogger>, stop: () => Promise<void>): void {
  let isStopping = false;
  const begin = (reason: string): void => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ reason }, 'stopping');
    setTimeout(() => {
      logger.error('work under way did not finish in time');
      process.exit(1);
    }, timeoutMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'stopped badly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => begin('SIGTERM'));
  process.on('SIGINT', () => begin('SIGINT'));
  process.on('disconnect', () => begin('the launcher is gone'));
}

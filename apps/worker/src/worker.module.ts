import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { InternalTokenVerifier, type InternalKeySet, type InternalTokenSigner } from '@weir/access';
import type { Device } from '@weir/contracts';
import type { Clock, Ids } from '@weir/kernel';
import type { EventBus } from '@weir/platform/bus';
import { readEnvironment } from '@weir/platform/config';
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
  type ServiceIdentity,
} from '@weir/platform/service';
import { Counter, type Logger, type Registry } from '@weir/platform/telemetry';
import { Announcer } from './announce/announcer.ts';
import { findDevices } from './devices/devices.ts';
import { nvidiaGpus, visibleGpu } from './devices/nvidia.ts';
import { tryProviders } from './devices/try-providers.ts';
import { PackageStore } from './packages/package-store.ts';
import { PlacementReconciler } from './placements/placement-reconciler.ts';
import { RepositoryController } from './placements/repository.controller.ts';
import { VersionLoader } from './placements/version-loader.ts';
import { RemoteVersions } from './remote/remote-versions.ts';
import { SecretFolder } from './remote/secret-folder.ts';
import type { ServingSettings } from './serving/control-messages.ts';
import { Activator } from './serving-processes/activator.ts';
import { ServingAccounts, servingCode } from './serving-processes/serving-accounts.ts';
import { SERVING_ENTRY } from './serving-processes/serving-child.ts';
import { ServingFleet } from './serving-processes/serving-fleet.ts';
import { parseTrustClasses } from './serving-processes/trust-class.ts';
import type { WorkerSettings } from './settings.ts';
import { ServingMetrics } from './statistics/serving-metrics.ts';
import { WORKER_ID } from './worker-id.ts';
import { WorkerLifecycle } from './worker-lifecycle.ts';

/** What the worker computes on. */
const DEVICES = Symbol('weir.devices');

@Module({
  controllers: [RepositoryController],
  providers: [
    {
      provide: DEVICES,
      inject: [SETTINGS],
      useFactory: ({ executionProviders }: WorkerSettings) => {
        const environment = readEnvironment();
        return findDevices({
          executionProviders,
          tryProviders: (providers) => tryProviders(providers, environment),
          nvidiaGpu: async () => visibleGpu(await nvidiaGpus(), environment['CUDA_VISIBLE_DEVICES']),
        });
      },
    },
    {
      provide: WORKER_ID,
      inject: [SETTINGS, SERVICE],
      useFactory: (settings: WorkerSettings, service: ServiceIdentity) => settings.workerId ?? service.instanceId,
    },
    {
      provide: PackageStore,
      inject: [SETTINGS],
      useFactory: (settings: WorkerSettings) => new PackageStore({ directory: settings.cacheDirectory, maxBytes: settings.cacheBytes }),
    },
    {
      provide: ServingFleet,
      inject: [SETTINGS, LOGGER, CLOCK, SERVICE, KEY_SET],
      useFactory: (settings: WorkerSettings, logger: Logger, clock: Clock, service: ServiceIdentity, keySet: InternalKeySet) => {
        const flightDirectory = join(settings.cacheDirectory, 'flights');
        const packageDirectory = join(settings.cacheDirectory, 'packages');
        for (const directory of [flightDirectory, packageDirectory]) mkdirSync(directory, { recursive: true, mode: 0o700 });
        return new ServingFleet({
          settings: (flightFile) => servingSettingsOf(settings, service, keySet, flightFile),
          flightDirectory,
          environment: readEnvironment(),
          accounts: ServingAccounts.create({
            uidBase: settings.servingUidBase,
            directories: [settings.cacheDirectory, flightDirectory, packageDirectory],
            code: servingCode(SERVING_ENTRY),
            logger,
          }),
          trustClasses: parseTrustClasses(settings.trustClasses),
          memoryBytes: settings.memoryBytes,
          maxProcesses: settings.maxProcesses,
          maxTenantProcesses: settings.maxTenantProcesses,
          idleUnloadMs: settings.idleUnloadMs,
          urlOf: (port) => servingUrl(settings, port),
          logger,
          now: () => clock.now(),
        });
      },
    },
    {
      provide: Activator,
      inject: [SETTINGS, LOGGER, SERVICE, KEY_SET, ServingFleet],
      useFactory: (settings: WorkerSettings, logger: Logger, service: ServiceIdentity, keySet: InternalKeySet, fleet: ServingFleet) =>
        new Activator({
          host: settings.host,
          urlOf: (port) => servingUrl(settings, port),
          verifier: new InternalTokenVerifier(service.name, keySet),
          logger,
          defaultTimeoutMs: settings.defaultTimeoutMs,
          longestTimeoutMs: settings.runLimitMs,
          activate: (modelId, version) => fleet.activate(modelId, version),
          stopped: () => fleet.stopped(),
        }),
    },
    {
      provide: SecretFolder,
      inject: [SETTINGS],
      useFactory: (settings: WorkerSettings) => new SecretFolder(settings.secretsDirectory),
    },
    {
      provide: RemoteVersions,
      inject: [SETTINGS, LOGGER, SERVICE, KEY_SET, METRICS, SecretFolder],
      useFactory: remoteVersionsOf,
    },
    {
      provide: PlacementReconciler,
      inject: [LOGGER, CLOCK, TOKEN_SIGNER, PackageStore, ServingFleet, RemoteVersions, METRICS],
      useFactory: (
        logger: Logger,
        clock: Clock,
        signer: InternalTokenSigner,
        packages: PackageStore,
        fleet: ServingFleet,
        remote: RemoteVersions,
        registry: Registry,
      ) => {
        const placements = new Counter({
          name: 'weir_worker_placements_total',
          help: 'Attempts to take a version in, by outcome',
          labelNames: ['outcome'],
          registers: [registry],
        });
        return new PlacementReconciler({
          loader: new VersionLoader({ packages, fleet, remote, signer }),
          stateOf: (versionId) => remote.stateOf(versionId) ?? fleet.stateOf(versionId),
          revive: (versionId) => fleet.revive(versionId),
          clock,
          logger,
          observe: { loaded: (outcome) => placements.inc({ outcome }) },
        });
      },
    },
    {
      provide: Announcer,
      inject: [SETTINGS, LOGGER, CLOCK, IDS, EVENT_BUS, SERVICE, WORKER_ID, DEVICES, PlacementReconciler],
      useFactory: (
        settings: WorkerSettings,
        logger: Logger,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
        service: ServiceIdentity,
        workerId: string,
        devices: readonly Device[],
        reconciler: PlacementReconciler,
      ) =>
        new Announcer({
          bus,
          clock,
          ids,
          logger,
          workerId,
          source: service.instanceId,
          memoryBytes: settings.memoryBytes,
          devices,
          backends: settings.backends,
          versions: () => reconciler.states(),
        }),
    },
    WorkerLifecycle,
  ],
})
export class WorkerModule {}

function remoteVersionsOf(
  settings: WorkerSettings,
  logger: Logger,
  service: ServiceIdentity,
  keySet: InternalKeySet,
  registry: Registry,
  secrets: SecretFolder,
): RemoteVersions {
  const { host, bodyLimitBytes, defaultTimeoutMs, runLimitMs, maxElements, queueLength, queueWaitMs, healthIntervalMs } = settings;
  const { maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds } = settings;
  const remote: RemoteVersions = new RemoteVersions({
    host,
    urlOf: (port) => servingUrl(settings, port),
    bodyLimitBytes,
    defaultTimeoutMs,
    runLimitMs,
    maxElements,
    taskLimits: { maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds },
    concurrency: settings.remoteConcurrency,
    queueLength,
    queueWaitMs,
    healthIntervalMs,
    allowLocalServers: settings.allowLocalBackEnds,
    secrets,
    metrics: new ServingMetrics(registry, () =>
      remote.all().map(({ versionId, model, version, queueLength: waiting }) => ({
        versionId,
        model,
        version,
        queueLength: waiting,
        memoryBytes: 0,
      })),
    ),
    verifier: new InternalTokenVerifier(service.name, keySet),
    logger,
  });
  return remote;
}

function servingSettingsOf(
  settings: WorkerSettings,
  service: ServiceIdentity,
  keySet: InternalKeySet,
  flightFile: string,
): ServingSettings {
  const { host, logLevel, otlpEndpoint, executionProviders, intraOpThreads, queueLength, queueWaitMs, batchMs, maxBatchRows } = settings;
  const { runLimitMs, defaultTimeoutMs, bodyLimitBytes, maxElements, maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds } =
    settings;
  const { maxSequences, sequenceBytes, sequenceIdleMs } = settings;
  return {
    instanceId: service.instanceId,
    host,
    logLevel,
    ...(otlpEndpoint === undefined ? {} : { otlpEndpoint }),
    keySet: { keys: keySet.keys.map((key) => ({ ...key })) },
    flightFile,
    executionProviders: [...executionProviders],
    slots: settings.slots ?? Math.max(1, Math.floor(availableParallelism() / intraOpThreads)),
    intraOpThreads,
    queueLength,
    queueWaitMs,
    batchMs,
    maxBatchRows,
    runLimitMs,
    defaultTimeoutMs,
    bodyLimitBytes,
    maxElements,
    maxItems,
    maxTextCharacters,
    maxImagePixels,
    maxAudioSeconds,
    maxSequences,
    sequenceBytes,
    sequenceIdleMs,
  };
}

/** The address of a serving process: the worker's own host, its own port. */
function servingUrl(settings: WorkerSettings, port: number): string {
  if (settings.advertisedUrl === undefined) return `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${port}`;
  const url = new URL(settings.advertisedUrl);
  url.port = String(port);
  return url.origin;
}

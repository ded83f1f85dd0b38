import { Module } from '@nestjs/common';
import type { InternalTokenSigner } from '@weir/access';
import type { Clock, Ids } from '@weir/kernel';
import type { EventBus } from '@weir/platform/bus';
import { CLOCK, EVENT_BUS, IDS, LOGGER, METRICS, SERVICE, SETTINGS, TOKEN_SIGNER, type ServiceIdentity } from '@weir/platform/service';
import type { Logger, Registry } from '@weir/platform/telemetry';
import { Announcer } from './announce/announcer.ts';
import { OpenInferenceController } from './open-inference/open-inference.controller.ts';
import { PackageStore } from './packages/package-store.ts';
import { LoadedVersions } from './placements/loaded-versions.ts';
import { PlacementReconciler } from './placements/placement-reconciler.ts';
import { VersionLoader } from './placements/version-loader.ts';
import { ModelRuntime } from './runtime/model-runtime.ts';
import type { WorkerSettings } from './settings.ts';
import { WORKER_ID } from './worker-id.ts';
import { WorkerLifecycle } from './worker-lifecycle.ts';
import { WorkerMetrics } from './worker-metrics.ts';

@Module({
  controllers: [OpenInferenceController],
  providers: [
    {
      provide: WORKER_ID,
      inject: [SETTINGS, SERVICE],
      useFactory: (settings: WorkerSettings, service: ServiceIdentity) => settings.workerId ?? service.instanceId,
    },
    { provide: WorkerMetrics, inject: [METRICS], useFactory: (registry: Registry) => new WorkerMetrics(registry) },
    LoadedVersions,
    {
      provide: PackageStore,
      inject: [SETTINGS],
      useFactory: (settings: WorkerSettings) => new PackageStore({ directory: settings.cacheDirectory, maxBytes: settings.cacheBytes }),
    },
    {
      provide: ModelRuntime,
      inject: [SETTINGS, LOGGER, WorkerMetrics],
      useFactory: (settings: WorkerSettings, logger: Logger, metrics: WorkerMetrics) => {
        const { queueLength, intraOpThreads, runLimitMs } = settings;
        const runtime = new ModelRuntime({
          queueLength,
          intraOpThreads,
          runLimitMs,
          observe: metrics,
          die: (reason) => die(logger, reason),
        });
        metrics.readQueueLengthFrom(() => runtime.queued);
        return runtime;
      },
    },
    {
      provide: PlacementReconciler,
      inject: [SETTINGS, LOGGER, CLOCK, TOKEN_SIGNER, PackageStore, ModelRuntime, LoadedVersions, WorkerMetrics],
      useFactory: (
        settings: WorkerSettings,
        logger: Logger,
        clock: Clock,
        signer: InternalTokenSigner,
        packages: PackageStore,
        runtime: ModelRuntime,
        versions: LoadedVersions,
        metrics: WorkerMetrics,
      ) =>
        new PlacementReconciler({
          loader: new VersionLoader({ packages, runtime, signer, memoryBytes: settings.memoryBytes }),
          versions,
          clock,
          logger,
          observe: metrics,
        }),
    },
    {
      provide: Announcer,
      inject: [SETTINGS, LOGGER, CLOCK, IDS, EVENT_BUS, SERVICE, WORKER_ID, PlacementReconciler],
      useFactory: (
        settings: WorkerSettings,
        logger: Logger,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
        service: ServiceIdentity,
        workerId: string,
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
          versions: () => reconciler.states(),
        }),
    },
    WorkerLifecycle,
  ],
})
export class WorkerModule {}

/** Ends the process at once: with a run that never returns, neither its thread nor `process.exit` would ever end. */
function die(logger: Logger, reason: string): void {
  logger.fatal({ reason }, 'this worker cannot go on');
  process.kill(process.pid, 'SIGKILL');
}

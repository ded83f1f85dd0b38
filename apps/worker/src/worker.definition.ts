import type { ServiceDefinition } from '@weir/platform/service';
import { ServingFleet } from './serving-processes/serving-fleet.ts';
import { workerSettings } from './settings.ts';
import { WorkerModule } from './worker.module.ts';

/** Longest wait for what a serving process measures, when the metrics are asked for. */
const METRICS_TIMEOUT_MS = 2_000;

/** The worker as the platform boots it. */
export const workerDefinition: ServiceDefinition<typeof workerSettings> = {
  name: 'worker',
  module: WorkerModule,
  settings: workerSettings,
  moreMetrics: (app) => app.get(ServingFleet).metrics(METRICS_TIMEOUT_MS),
};

import type { ServiceDefinition } from '@weir/platform/service';
import { OpenInferenceErrorFilter } from './open-inference/open-inference-error.filter.ts';
import { workerSettings } from './settings.ts';
import { WorkerModule } from './worker.module.ts';

/** The worker as the platform boots it. */
export const workerDefinition: ServiceDefinition<typeof workerSettings> = {
  name: 'worker',
  module: WorkerModule,
  settings: workerSettings,
  bodyLimitBytes: (settings) => settings.bodyLimitBytes,
  errorFilter: (logger) => new OpenInferenceErrorFilter(logger),
};

import 'reflect-metadata';
import { runService } from '@weir/platform/service';
import { workerSettings } from './settings.ts';
import { WorkerModule } from './worker.module.ts';

await runService({ name: 'worker', module: WorkerModule, settings: workerSettings, bodyLimitBytes: (settings) => settings.bodyLimitBytes });

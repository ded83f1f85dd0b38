import 'reflect-metadata';
import { runService } from '@weir/platform/service';
import { MeteringModule } from './metering.module.ts';

await runService({ name: 'metering', module: MeteringModule, settings: {} });

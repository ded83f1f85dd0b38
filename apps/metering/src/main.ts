import 'reflect-metadata';
import { runService } from '@weir/platform/service';
import { MeteringModule } from './metering.module.ts';
import { meteringSettings } from './settings.ts';

await runService({ name: 'metering', module: MeteringModule, settings: meteringSettings });

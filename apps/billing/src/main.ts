import 'reflect-metadata';
import { runService } from '@weir/platform/service';
import { BillingModule } from './billing.module.ts';

await runService({ name: 'billing', module: BillingModule, settings: {} });

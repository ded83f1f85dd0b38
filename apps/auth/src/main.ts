import { runService } from '@weir/platform/service';
import { AuthModule } from './auth.module.ts';
import { authSettings } from './settings.ts';

await runService({ name: 'auth', module: AuthModule, settings: authSettings });

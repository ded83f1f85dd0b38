import { runService } from '@weir/platform/service';
import { GatewayModule } from './gateway.module.ts';
import { gatewaySettings } from './settings.ts';

await runService({
  name: 'gateway',
  module: GatewayModule,
  settings: gatewaySettings,
  surface: 'public',
  bodyLimitBytes: (settings) => settings.bodyLimitBytes,
  trustedProxies: (settings) => settings.trustedProxies,
});

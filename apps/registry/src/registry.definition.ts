import type { ServiceDefinition } from '@weir/platform/service';
import { RegistryModule } from './registry.module.ts';
import { registrySettings } from './settings.ts';

/** The registry as the platform boots it. */
export const registryDefinition: ServiceDefinition<typeof registrySettings> = {
  name: 'registry',
  module: RegistryModule,
  settings: registrySettings,
};

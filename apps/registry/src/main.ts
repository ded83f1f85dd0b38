import { runService } from '@weir/platform/service';
import { registryDefinition } from './registry.definition.ts';

await runService(registryDefinition);

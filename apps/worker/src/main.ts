import { runService } from '@weir/platform/service';
import { workerDefinition } from './worker.definition.ts';

await runService(workerDefinition);

import type { ServerMetadata } from '@weir/open-inference';
import { PLATFORM_VERSION } from '../graph/platform.resolver.ts';

/** What the edge says of itself, and which extensions of the Open Inference Protocol hold here. */
export const SERVER_METADATA: ServerMetadata = {
  name: 'weir',
  version: PLATFORM_VERSION,
  extensions: ['binary_tensor_data', 'model_repository', 'parameters', 'sequence', 'statistics'],
};

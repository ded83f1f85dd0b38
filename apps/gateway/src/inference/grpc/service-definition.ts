import { createRequire } from 'node:module';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { PROTO_LOADER_OPTIONS } from '@weir/open-inference';

const SERVICE = 'inference.GRPCInferenceService';

/** `GRPCInferenceService` as the committed proto file says it. */
export function inferenceServiceDefinition(): ServiceDefinition {
  const file = createRequire(import.meta.url).resolve('@weir/open-inference/grpc_service.proto');
  const definition = loadSync(file, PROTO_LOADER_OPTIONS)[SERVICE];
  if (definition === undefined || 'format' in definition) throw new Error(`${file} does not hold ${SERVICE}`);
  return definition as ServiceDefinition;
}

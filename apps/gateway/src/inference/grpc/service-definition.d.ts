import type { ServiceDefinition } from '@grpc/grpc-js';
/** `GRPCInferenceService` as the committed proto file says it. */
export declare function inferenceServiceDefinition(): ServiceDefinition;
//# sourceMappingURL=service-definition.d.ts.map
export { elementsToBytes } from './binary.ts';
export { jsonPartOf, priorityOf, sequenceId, sequenceIdOf, timeoutMsOf } from './call-headers.ts';
export { decodeTensor, encodeTensor } from './codec.ts';
export { encodingFor, packed, unpacked, type ContentEncoding } from './compression.ts';
export { DEFAULT_REQUEST_LIMITS, encodeRequest, parseInferenceRequest, readRequest, type RequestLimits } from './request.ts';
export { encodeResponse, readResponse, type EncodedResponse, type TensorResponse } from './response.ts';
export {
  PROTO_LOADER_OPTIONS,
  requestOfGrpc,
  responseToGrpc,
  type ModelInferRequestMessage,
  type ModelInferResponseMessage,
} from './grpc.ts';
export { elementCount, formatShape, fromHalfBits, toHalfBits, type BytesElement, type Tensor, type TensorData } from './tensor.ts';
export * from './processed.ts';
export * from './types.ts';
export { typeName } from './values.ts';

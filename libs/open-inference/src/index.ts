export { decodeTensor, DEFAULT_REQUEST_LIMITS, encodeTensor, parseInferenceRequest, type RequestLimits } from './json.ts';
export { elementCount, formatShape, fromHalfBits, toHalfBits, type Tensor, type TensorData } from './tensor.ts';
export * from './types.ts';

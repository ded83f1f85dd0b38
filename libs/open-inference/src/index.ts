export { decodeTensor, DEFAULT_REQUEST_LIMITS, encodeTensor, parseInferenceRequest, type RequestLimits } from './json.ts';
export { elementCount, formatShape, fromHalfBits, toHalfBits, type BytesElement, type Tensor, type TensorData } from './tensor.ts';
export * from './processed.ts';
export * from './types.ts';

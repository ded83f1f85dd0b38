import { elementsOfBytes } from './binary.ts';
import { elementsOfJson, elementsToJson } from './json.ts';
import type { Tensor } from './tensor.ts';
import type { EncodedTensor, ResponseTensor } from './types.ts';

/**
 * The tensor in memory, every element checked against the datatype, whether it came in JSON or as bytes.
 *
 * Elements that came as bytes are a view of the body where its place in memory allows it: do not transfer or change
 * them. Elements of `BYTES` are strings when they came in JSON (base64 where `parameters.content_type` says so: whoever
 * knows what they mean decodes them), and bytes when they came as bytes.
 *
 * @param field where the tensor stands in the request, such as `inputs[0]`
 * @throws model.input_invalid naming the tensor and the first element that does not fit
 */
export function decodeTensor(tensor: EncodedTensor, field: string): Tensor {
  const { name, datatype, shape, data } = tensor;
  const elements = data instanceof Uint8Array ? elementsOfBytes({ ...tensor, data }, field) : elementsOfJson({ ...tensor, data }, field);
  return { name, datatype, shape, data: elements };
}

/**
 * The tensor as it travels in JSON.
 *
 * @throws model.failed when it holds what JSON cannot say (NaN, an infinity)
 */
export function encodeTensor(tensor: Tensor): ResponseTensor {
  return { name: tensor.name, shape: tensor.shape, datatype: tensor.datatype, ...elementsToJson(tensor) };
}

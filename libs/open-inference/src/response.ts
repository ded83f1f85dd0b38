import { AppError } from '@weir/kernel';
import { elementsToBytes } from './binary.ts';
import { encodeTensor } from './codec.ts';
import { asJson, binaryOf, DEFAULT_REQUEST_LIMITS, encodeMessage, parseTensors, splitBody } from './request.ts';
import type { Tensor } from './tensor.ts';
import {
  HEADER_LENGTH_HEADER,
  type EncodedMessage,
  type EncodedTensor,
  type InferenceRequest,
  type InferenceResponse,
  type MessageHeaders,
  type Parameters,
} from './types.ts';
import { isObject } from './values.ts';

/** An answer before it is encoded, with its tensors in memory. */
export interface TensorResponse extends Omit<InferenceResponse, 'id' | 'outputs'> {
  readonly outputs: readonly Tensor[];
}

/**
 * The HTTP body and headers of an answer. Each output is in JSON or in bytes as the request asked: its own
 * `parameters.binary_data`, else the request's `parameters.binary_data_output`, else JSON. The request's `id` is echoed.
 * In JSON, elements of `BYTES` that are bytes stand in base64 (`parameters.content_type` says so).
 *
 * @throws model.failed when an output that is to be JSON holds what JSON cannot say (NaN, an infinity), or does not fill its shape
 */
export function encodeResponse(response: TensorResponse, request: Pick<InferenceRequest, 'id' | 'parameters' | 'outputs'>): EncodedMessage {
  const allBinary = request.parameters?.['binary_data_output'] === true;
  const outputs = response.outputs.map((output): EncodedTensor => {
    const asked = request.outputs?.find(({ name }) => name === output.name)?.parameters?.['binary_data'];
    if (asked === undefined ? !allBinary : asked !== true) return encodeTensor(output);
    return { name: output.name, shape: output.shape, datatype: output.datatype, data: elementsToBytes(output) };
  });
  return encodeMessage({ id: request.id, ...response, outputs: outputs.map(asJson) }, binaryOf(outputs));
}

/** An answer as it came, its form checked; the outputs that came as bytes are views of the body. */
export interface EncodedResponse extends Omit<InferenceResponse, 'parameters' | 'outputs'> {
  readonly parameters?: Parameters;
  readonly outputs: readonly EncodedTensor[];
}

/**
 * The answer of a server out of its HTTP body: JSON alone, or JSON and bytes. `decodeTensor` makes tensors of its outputs.
 *
 * @throws model.failed when it does not have the form of the protocol
 */
export function readResponse(body: Buffer, headers: MessageHeaders): EncodedResponse {
  try {
    const { json, binary } = splitBody(body, headers[HEADER_LENGTH_HEADER]);
    if (!isObject(json)) throw new TypeError('the answer is not a JSON object');
    const { model_name: name, model_version: version, id, parameters, outputs } = json;
    return {
      model_name: typeof name === 'string' ? name : '',
      ...(typeof version === 'string' ? { model_version: version } : {}),
      ...(typeof id === 'string' ? { id } : {}),
      ...(isObject(parameters) ? { parameters } : {}),
      outputs: parseTensors(outputs, 'outputs', binary, { ...DEFAULT_REQUEST_LIMITS, maxElements: Number.MAX_SAFE_INTEGER }),
    };
  } catch (error) {
    throw new AppError('model.failed', { cause: error });
  }
}

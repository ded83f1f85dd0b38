import { isUtf8 } from 'node:buffer';
import { AppError } from '@weir/kernel';
import { assertByteSize } from './binary.ts';
import { elementCount, formatShape } from './tensor.ts';
import {
  DATATYPES,
  HEADER_LENGTH_HEADER,
  isDatatype,
  type EncodedMessage,
  type EncodedTensor,
  type InferenceRequest,
  type MessageHeaders,
  type Parameters,
  type RequestedOutput,
} from './types.ts';
import { invalid, isObject, quoted, typeName } from './values.ts';

/** Bounds of a request, so that checking it costs no more than reading it. */
export interface RequestLimits {
  readonly maxTensors: number;
  /** Elements of all tensors of a request together. */
  readonly maxElements: number;
}

export const DEFAULT_REQUEST_LIMITS: RequestLimits = { maxTensors: 64, maxElements: 8_000_000 };

const MAX_RANK = 16;
const MAX_NAME_LENGTH = 512;
const MAX_ID_LENGTH = 256;
const NO_BYTES = Buffer.alloc(0);

/**
 * An inference request out of an HTTP body: JSON alone, or JSON of `Inference-Header-Content-Length` bytes and behind it,
 * in their order, the inputs that have `parameters.binary_data_size`. Inputs in JSON and in bytes may stand side by side.
 * `data` of the latter is a view of `body`. The elements are checked by `decodeTensor`.
 *
 * @throws request.malformed   what should be JSON is not, or not in UTF-8
 * @throws model.input_invalid a length, a size or a field that does not hold, with the field (or the header's name)
 * @throws request.too_large   it holds more tensors or elements than the limits allow
 */
export function readRequest(body: Buffer, headers: MessageHeaders, limits: RequestLimits = DEFAULT_REQUEST_LIMITS): InferenceRequest {
  const { json, binary } = splitBody(body, headers[HEADER_LENGTH_HEADER]);
  return parseRequest(json, binary, limits);
}

/**
 * Checks the form of a request that came in JSON alone: names, shapes, datatypes and counts; the elements are checked by
 * `decodeTensor`.
 *
 * @throws model.input_invalid with the field, naming what was expected and what came
 * @throws request.too_large when it holds more tensors or elements than the limits allow
 */
export function parseInferenceRequest(body: unknown, limits: RequestLimits = DEFAULT_REQUEST_LIMITS): InferenceRequest {
  return parseRequest(body, NO_BYTES, limits);
}

/** What a body's JSON says, and the bytes that follow it. */
export interface SplitBody {
  readonly json: unknown;
  readonly binary: Buffer;
}

/** @throws request.malformed, model.input_invalid when the header is no length inside the body */
export function splitBody(body: Buffer, header: string | string[] | undefined): SplitBody {
  const length = header === undefined ? body.length : headerLength(header, body.length);
  const text = body.subarray(0, length);
  if (!isUtf8(text)) throw new AppError('request.malformed', { message: 'The JSON of the body is not UTF-8.' });
  try {
    return { json: JSON.parse(text.toString('utf8')), binary: body.subarray(length) };
  } catch (error) {
    throw new AppError('request.malformed', {
      message:
        header === undefined
          ? 'The body is not valid JSON.'
          : `The first ${length} bytes of the body, which the header Inference-Header-Content-Length names, are not valid JSON.`,
      cause: error,
    });
  }
}

function headerLength(header: string | string[], bodyLength: number): number {
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header))
    throw invalid(HEADER_LENGTH_HEADER, 'the header Inference-Header-Content-Length must be a whole number of bytes');
  const length = Number(header);
  if (length === 0)
    throw invalid(
      HEADER_LENGTH_HEADER,
      'the header Inference-Header-Content-Length must be at least 1: a body without JSON does not say what its bytes are',
    );
  if (length > bodyLength)
    throw invalid(HEADER_LENGTH_HEADER, `the header Inference-Header-Content-Length says ${length} bytes, the body holds ${bodyLength}`);
  return length;
}

function parseRequest(body: unknown, binary: Buffer, limits: RequestLimits): InferenceRequest {
  if (!isObject(body)) throw invalid('', `the body must be a JSON object, got ${typeName(body)}`);
  const { id, parameters, inputs, outputs } = body;
  if (id !== undefined && (typeof id !== 'string' || id.length > MAX_ID_LENGTH))
    throw invalid('id', `id must be a string of at most ${MAX_ID_LENGTH} characters`);
  const given = parseParameters(parameters, 'parameters', 'parameters');
  assertFlag(given, 'binary_data_output', 'parameters');
  const tensors = parseTensors(inputs, 'inputs', binary, limits);
  return {
    ...(id === undefined ? {} : { id }),
    ...(given === undefined ? {} : { parameters: given }),
    inputs: tensors,
    ...(outputs === undefined ? {} : { outputs: parseOutputs(outputs, limits) }),
  };
}

/** The bytes behind the JSON, handed out in the order of the tensors. */
class BinaryData {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  take(size: number): Buffer {
    const taken = this.#bytes.subarray(this.#offset, this.#offset + size);
    this.#offset += size;
    return taken;
  }
}

/** @param field `inputs` of a request, `outputs` of an answer */
export function parseTensors(value: unknown, field: string, binary: Buffer, limits: RequestLimits): EncodedTensor[] {
  if (!Array.isArray(value) || value.length === 0)
    throw invalid(field, `${field} must be a non-empty array of tensors, got ${Array.isArray(value) ? 'an empty array' : typeName(value)}`);
  if (value.length > limits.maxTensors)
    throw new AppError('request.too_large', {
      field,
      message: `a request may hold ${limits.maxTensors} ${field}, got ${value.length}`,
    });
  const bytes = new BinaryData(binary);
  const seen = new Set<string>();
  let elements = 0;
  const tensors = value.map((item: unknown, index) => {
    const tensor = parseTensor(item, `${field}[${index}]`, bytes);
    if (seen.has(tensor.name)) throw invalid(`${field}[${index}].name`, `input ${quoted(tensor.name)} is given twice`);
    seen.add(tensor.name);
    const count = elementCount(tensor.shape);
    if (count > limits.maxElements)
      throw invalid(
        `${field}[${index}].shape`,
        `input ${quoted(tensor.name)}: shape ${formatShape(tensor.shape)} has ${count} elements, at most ${limits.maxElements} are allowed`,
      );
    elements += count;
    if (elements > limits.maxElements)
      throw new AppError('request.too_large', {
        field: `${field}[${index}].shape`,
        message: `a request may hold ${limits.maxElements} elements in all its ${field}`,
      });
    return tensor;
  });
  if (bytes.left > 0) throw invalid(field, `${bytes.left} bytes follow the JSON that no parameters.binary_data_size of ${field} speaks of`);
  return tensors;
}

function parseTensor(value: unknown, field: string, binary: BinaryData): EncodedTensor {
  if (!isObject(value)) throw invalid(field, `${field} must be a tensor object, got ${typeName(value)}`);
  const { name, shape, datatype, parameters, data } = value;
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH)
    throw invalid(
      `${field}.name`,
      `${field}.name must be a string of 1 to ${MAX_NAME_LENGTH} characters, got ${typeof name === 'string' ? `${name.length} characters` : typeName(name)}`,
    );
  const title = `input ${quoted(name)}`;
  if (!Array.isArray(shape)) throw invalid(`${field}.shape`, `${title}: shape must be an array of whole numbers, got ${typeName(shape)}`);
  if (shape.length > MAX_RANK)
    throw invalid(`${field}.shape`, `${title}: shape has ${shape.length} dimensions, at most ${MAX_RANK} are allowed`);
  const sizes = shape.map((size: unknown, axis) => {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw invalid(
        `${field}.shape[${axis}]`,
        `${title}: shape[${axis}] must be a whole number of at least 0, got ${typeof size === 'number' ? size : typeName(size)}`,
      );
    return size;
  });
  if (!isDatatype(datatype))
    throw invalid(
      `${field}.datatype`,
      `${title}: datatype must be one of ${DATATYPES.join(', ')}, got ${typeof datatype === 'string' ? quoted(datatype) : typeName(datatype)}`,
    );
  const given = parseParameters(parameters, `${field}.parameters`, `${title}: parameters`);
  const tensor = { name, shape: sizes, datatype, ...(given === undefined ? {} : { parameters: given }) };
  const size = given?.['binary_data_size'];
  if (size === undefined) {
    if (given?.['shared_memory_region'] !== undefined)
      throw invalid(`${field}.parameters.shared_memory_region`, `${title}: shared memory is not offered; send the data in the body`);
    if (!Array.isArray(data)) throw invalid(`${field}.data`, `${title}: data must be an array, got ${typeName(data)}`);
    return { ...tensor, data };
  }
  const bytes = takeBytes(size, binary, `${field}.parameters.binary_data_size`, title);
  if (data !== undefined)
    throw invalid(`${field}.data`, `${title}: data and parameters.binary_data_size are given, where one of them is expected`);
  const binaryTensor = { ...tensor, data: bytes };
  assertByteSize(binaryTensor, `${field}.parameters.binary_data_size`);
  return binaryTensor;
}

function takeBytes(size: unknown, binary: BinaryData, field: string, title: string): Buffer {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(
      field,
      `${title}: parameters.binary_data_size must be a whole number of bytes, got ${typeof size === 'number' ? size : typeName(size)}`,
    );
  if (size > binary.left)
    throw invalid(
      field,
      `${title}: parameters.binary_data_size is ${size}, ${binary.left} bytes are left of those that follow the first Inference-Header-Content-Length bytes`,
    );
  return binary.take(size);
}

function parseOutputs(value: unknown, limits: RequestLimits): RequestedOutput[] {
  if (!Array.isArray(value)) throw invalid('outputs', `outputs must be an array, got ${typeName(value)}`);
  if (value.length > limits.maxTensors)
    throw new AppError('request.too_large', {
      field: 'outputs',
      message: `a request may ask for ${limits.maxTensors} outputs, got ${value.length}`,
    });
  return value.map((output: unknown, index) => {
    const field = `outputs[${index}]`;
    if (!isObject(output) || typeof output['name'] !== 'string' || output['name'].length > MAX_NAME_LENGTH)
      throw invalid(`${field}.name`, `${field}.name must be the name of an output`);
    const parameters = parseParameters(output['parameters'], `${field}.parameters`, `${field}.parameters`);
    if (parameters === undefined) return { name: output['name'] };
    assertFlag(parameters, 'binary_data', `${field}.parameters`);
    for (const extension of ['classification', 'shared_memory_region']) {
      if (parameters[extension] !== undefined)
        throw invalid(`${field}.parameters.${extension}`, `${field}.parameters.${extension} is not offered; leave it out`);
    }
    return { name: output['name'], parameters };
  });
}

function parseParameters(value: unknown, field: string, title: string): Parameters | undefined {
  if (value === undefined || isObject(value)) return value;
  throw invalid(field, `${title} must be an object, got ${typeName(value)}`);
}

function assertFlag(parameters: Parameters | undefined, name: string, field: string): void {
  const flag = parameters?.[name];
  if (flag !== undefined && typeof flag !== 'boolean')
    throw invalid(`${field}.${name}`, `${field}.${name} must be true or false, got ${typeName(flag)}`);
}

/** Where a tensor's bytes may begin, so that a typed array of any datatype can stand there. */
const ALIGNMENT = 8;
const SPACE = 0x20;

/**
 * The HTTP body and headers of a request: inputs whose `data` are bytes by the binary extension, the others in JSON. The
 * JSON is filled up with spaces, so that the bytes of the first tensor can be read in place.
 */
export function encodeRequest(request: InferenceRequest): EncodedMessage {
  return encodeMessage({ ...request, inputs: request.inputs.map(asJson) }, binaryOf(request.inputs), ALIGNMENT);
}

/** A tensor as the JSON of a message names it: with its data, or with the size of its bytes behind the JSON. */
export function asJson({ data, parameters, ...tensor }: EncodedTensor): object {
  if (!(data instanceof Uint8Array)) return { ...tensor, parameters, data };
  return { ...tensor, parameters: { ...parameters, binary_data_size: data.byteLength } };
}

export function binaryOf(tensors: readonly EncodedTensor[]): Uint8Array[] {
  return tensors.flatMap(({ data }) => (data instanceof Uint8Array ? [data] : []));
}

/** JSON alone where there are no bytes, else both and the length of the JSON in the header. */
export function encodeMessage(json: object, binary: readonly Uint8Array[], alignment = 1): EncodedMessage {
  const text = JSON.stringify(json);
  if (binary.length === 0) return { headers: { 'content-type': 'application/json' }, body: Buffer.from(text) };
  const textBytes = Buffer.byteLength(text);
  const headerBytes = Math.ceil(textBytes / alignment) * alignment;
  const body = Buffer.allocUnsafe(binary.reduce((size, bytes) => size + bytes.byteLength, headerBytes));
  body.write(text);
  body.fill(SPACE, textBytes, headerBytes);
  let offset = headerBytes;
  for (const bytes of binary) {
    body.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return { headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH_HEADER]: String(headerBytes) }, body };
}

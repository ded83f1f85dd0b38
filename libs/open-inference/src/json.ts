import { AppError, assertNever } from '@weir/kernel';
import { elementCount, formatShape, fromHalfBits, toHalfBits, type Tensor, type TensorData } from './tensor.ts';
import { DATATYPES, isDatatype, type InferenceRequest, type RequestedOutput, type RequestTensor, type ResponseTensor } from './types.ts';

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

function invalid(field: string, message: string): AppError {
  return new AppError('model.input_invalid', { field, message });
}

/** The JSON type of a value, as people call it; NaN never comes out of JSON. */
function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (value === undefined) return 'nothing';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A caller's own text in a message: short, and only where the message needs it. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Checks the form of a request: names, shapes, datatypes and counts; the elements are checked by `decodeTensor`.
 *
 * @throws model.input_invalid with the field, naming what was expected and what came
 * @throws request.too_large when it holds more tensors or elements than the limits allow
 */
export function parseInferenceRequest(body: unknown, limits: RequestLimits = DEFAULT_REQUEST_LIMITS): InferenceRequest {
  if (!isObject(body)) throw invalid('', `the body must be a JSON object, got ${typeName(body)}`);
  const { id, parameters, inputs, outputs } = body;
  if (id !== undefined && (typeof id !== 'string' || id.length > MAX_ID_LENGTH))
    throw invalid('id', `id must be a string of at most ${MAX_ID_LENGTH} characters`);
  if (parameters !== undefined && !isObject(parameters))
    throw invalid('parameters', `parameters must be an object, got ${typeName(parameters)}`);
  if (!Array.isArray(inputs) || inputs.length === 0)
    throw invalid(
      'inputs',
      `inputs must be a non-empty array of tensors, got ${Array.isArray(inputs) ? 'an empty array' : typeName(inputs)}`,
    );
  if (inputs.length > limits.maxTensors)
    throw new AppError('request.too_large', {
      field: 'inputs',
      message: `a request may hold ${limits.maxTensors} inputs, got ${inputs.length}`,
    });
  const seen = new Set<string>();
  let elements = 0;
  const tensors = inputs.map((input: unknown, index) => {
    const tensor = parseTensor(input, `inputs[${index}]`);
    if (seen.has(tensor.name)) throw invalid(`inputs[${index}].name`, `input ${quoted(tensor.name)} is given twice`);
    seen.add(tensor.name);
    elements += elementCount(tensor.shape);
    if (elements > limits.maxElements)
      throw new AppError('request.too_large', {
        field: `inputs[${index}].shape`,
        message: `a request may hold ${limits.maxElements} elements in all its inputs`,
      });
    return tensor;
  });
  return {
    ...(id === undefined ? {} : { id }),
    ...(parameters === undefined ? {} : { parameters }),
    inputs: tensors,
    ...(outputs === undefined ? {} : { outputs: parseOutputs(outputs, limits) }),
  };
}

function parseTensor(value: unknown, field: string): RequestTensor {
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
  if (parameters !== undefined && !isObject(parameters))
    throw invalid(`${field}.parameters`, `${title}: parameters must be an object, got ${typeName(parameters)}`);
  if (!Array.isArray(data)) throw invalid(`${field}.data`, `${title}: data must be an array, got ${typeName(data)}`);
  return { name, shape: sizes, datatype, ...(parameters === undefined ? {} : { parameters }), data };
}

function parseOutputs(value: unknown, limits: RequestLimits): RequestedOutput[] {
  if (!Array.isArray(value)) throw invalid('outputs', `outputs must be an array, got ${typeName(value)}`);
  if (value.length > limits.maxTensors)
    throw new AppError('request.too_large', {
      field: 'outputs',
      message: `a request may ask for ${limits.maxTensors} outputs, got ${value.length}`,
    });
  return value.map((output: unknown, index) => {
    if (!isObject(output) || typeof output['name'] !== 'string' || output['name'].length > MAX_NAME_LENGTH)
      throw invalid(`outputs[${index}].name`, `outputs[${index}].name must be the name of an output`);
    return { name: output['name'] };
  });
}

/**
 * The tensor in memory, every element checked against the datatype.
 *
 * @param field where the tensor stands in the request, such as `inputs[0]`
 * @throws model.input_invalid naming the tensor and the first element that does not fit
 */
export function decodeTensor(tensor: RequestTensor, field: string): Tensor {
  const expected = elementCount(tensor.shape);
  const flat = flatten(tensor, field, expected);
  return { name: tensor.name, datatype: tensor.datatype, shape: tensor.shape, data: decodeData(tensor, flat, field) };
}

/** `data` as one row-major list: as it is when flat, joined when nested exactly as `shape` says. */
function flatten(tensor: RequestTensor, field: string, expected: number): readonly unknown[] {
  const { data, shape } = tensor;
  const title = `input ${quoted(tensor.name)}`;
  if (shape.length < 2 || !Array.isArray(data[0])) {
    if (data.length !== expected)
      throw invalid(`${field}.data`, `${title}: shape ${formatShape(shape)} holds ${expected} elements, data holds ${data.length}`);
    return data;
  }
  const flat: unknown[] = [];
  const walk = (part: unknown, axis: number): void => {
    if (!Array.isArray(part) || part.length !== shape[axis]) {
      throw invalid(
        `${field}.data`,
        `${title}: data is nested, but not as shape ${formatShape(shape)} says: axis ${axis} needs ${shape[axis]} items, got ${Array.isArray(part) ? part.length : typeName(part)}`,
      );
    }
    if (axis === shape.length - 1) for (const element of part) flat.push(element);
    else for (const inner of part) walk(inner, axis + 1);
  };
  walk(data, 0);
  return flat;
}

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;

function decodeData(tensor: RequestTensor, flat: readonly unknown[], field: string): TensorData {
  const { datatype } = tensor;
  const wrong = (index: number, wanted: string): AppError => {
    const value = flat[index];
    const got = typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeName(value);
    return invalid(`${field}.data[${index}]`, `input ${quoted(tensor.name)}: element ${index} must be ${wanted} (${datatype}), got ${got}`);
  };
  switch (datatype) {
    case 'BOOL':
      return Uint8Array.from(flat, (value, index) => {
        if (typeof value !== 'boolean') throw wrong(index, 'true or false');
        return value ? 1 : 0;
      });
    case 'UINT8':
      return integers(new Uint8Array(flat.length), flat, 0, 0xff, wrong);
    case 'UINT16':
      return integers(new Uint16Array(flat.length), flat, 0, 0xffff, wrong);
    case 'UINT32':
      return integers(new Uint32Array(flat.length), flat, 0, 0xffff_ffff, wrong);
    case 'INT8':
      return integers(new Int8Array(flat.length), flat, -0x80, 0x7f, wrong);
    case 'INT16':
      return integers(new Int16Array(flat.length), flat, -0x8000, 0x7fff, wrong);
    case 'INT32':
      return integers(new Int32Array(flat.length), flat, -0x8000_0000, 0x7fff_ffff, wrong);
    case 'INT64':
      return longs(new BigInt64Array(flat.length), flat, Number.MIN_SAFE_INTEGER, wrong);
    case 'UINT64':
      return longs(new BigUint64Array(flat.length), flat, 0, wrong);
    case 'FP16':
      return toHalfBits(floats(new Float32Array(flat.length), flat, 65_504, wrong));
    case 'FP32':
      return floats(new Float32Array(flat.length), flat, 3.402_823_466_385_288_6e38, wrong);
    case 'FP64':
      return floats(new Float64Array(flat.length), flat, Number.MAX_VALUE, wrong);
    case 'BYTES':
      return flat.map((value, index) => {
        if (typeof value !== 'string') throw wrong(index, 'a string');
        return value;
      });
    default:
      return assertNever(datatype);
  }
}

type Wrong = (index: number, wanted: string) => AppError;

function integers<A extends NumberArray>(target: A, flat: readonly unknown[], min: number, max: number, wrong: Wrong): A {
  for (let i = 0; i < flat.length; i++) {
    const value = flat[i];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw wrong(i, `a whole number from ${min} to ${max}`);
    target[i] = value;
  }
  return target;
}

/** JSON numbers are exact only up to 2^53: beyond, the caller's digits are already lost, so they are refused. */
function longs<A extends BigInt64Array | BigUint64Array>(target: A, flat: readonly unknown[], min: number, wrong: Wrong): A {
  for (let i = 0; i < flat.length; i++) {
    const value = flat[i];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min)
      throw wrong(i, `a whole number from ${min} to ${Number.MAX_SAFE_INTEGER}`);
    target[i] = BigInt(value);
  }
  return target;
}

function floats<A extends Float32Array | Float64Array>(target: A, flat: readonly unknown[], max: number, wrong: Wrong): A {
  for (let i = 0; i < flat.length; i++) {
    const value = flat[i];
    if (typeof value !== 'number' || value > max || value < -max) throw wrong(i, `a number from -${max} to ${max}`);
    target[i] = value;
  }
  return target;
}

/**
 * The tensor as it travels in JSON.
 *
 * @throws model.failed when it holds what JSON cannot say (NaN, an infinity)
 */
export function encodeTensor(tensor: Tensor): ResponseTensor {
  return { name: tensor.name, shape: tensor.shape, datatype: tensor.datatype, data: encodeData(tensor) };
}

function encodeData({ name, datatype, data }: Tensor): readonly unknown[] {
  if (Array.isArray(data)) return data;
  if (datatype === 'BOOL') return Array.from(data as Uint8Array, (value) => value !== 0);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, exactInteger);
  const numbers = datatype === 'FP16' && data instanceof Uint16Array ? fromHalfBits(data) : Array.from(data);
  if (datatype === 'FP16' || datatype === 'FP32' || datatype === 'FP64') {
    for (const number of numbers)
      if (!Number.isFinite(number))
        throw new AppError('model.failed', { message: `the model's output ${quoted(name)} holds ${number}, which JSON cannot carry` });
  }
  return numbers;
}

/** TypeScript's library does not know `JSON.rawJSON` yet; Node 24 has it. */
const json = JSON as JSON & { rawJSON(text: string): unknown };

/** As a number where that is exact, else its digits as they are. */
function exactInteger(value: bigint): unknown {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : json.rawJSON(value.toString());
}

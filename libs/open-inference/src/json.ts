import { AppError, assertNever } from '@weir/kernel';
import { elementCount, formatShape, fromHalfBits, toHalfBits, type Tensor, type TensorData } from './tensor.ts';
import type { Datatype, Parameters } from './types.ts';
import { invalid, quoted, typeName } from './values.ts';

/** Parameters of a tensor of `BYTES` whose elements stand in base64, because JSON carries text only. */
export const BASE64_PARAMETERS: Parameters = { content_type: 'base64' };

/** A tensor whose elements came in JSON. */
interface JsonTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: Datatype;
  readonly data: readonly unknown[];
}

/**
 * The elements of a tensor that came in JSON, each checked against the datatype in one pass.
 *
 * `INT64` and `UINT64` are numbers up to 2^53, beyond which JSON.parse loses digits, or strings of decimal digits.
 *
 * @param field where the tensor stands in the request, such as `inputs[0]`
 * @throws model.input_invalid naming the tensor and the first element that does not fit
 */
export function elementsOfJson(tensor: JsonTensor, field: string): TensorData {
  return typedElements(tensor, flatten(tensor, field), field);
}

/** `data` as one row-major list: as it is when flat, joined when nested exactly as `shape` says. */
function flatten(tensor: JsonTensor, field: string): readonly unknown[] {
  const { data, shape } = tensor;
  const title = `input ${quoted(tensor.name)}`;
  if (shape.length < 2 || !Array.isArray(data[0])) {
    const expected = elementCount(shape);
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

function typedElements({ name, datatype }: JsonTensor, flat: readonly unknown[], field: string): TensorData {
  const wrong = (index: number, wanted: string): AppError => {
    const value = flat[index];
    const got = typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeName(value);
    return invalid(`${field}.data[${index}]`, `input ${quoted(name)}: element ${index} must be ${wanted} (${datatype}), got ${got}`);
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
      return longs(new BigInt64Array(flat.length), flat, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn, wrong);
    case 'UINT64':
      return longs(new BigUint64Array(flat.length), flat, 0n, 0xffff_ffff_ffff_ffffn, wrong);
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
type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;

function integers<A extends NumberArray>(target: A, flat: readonly unknown[], min: number, max: number, wrong: Wrong): A {
  for (let i = 0; i < flat.length; i++) {
    const value = flat[i];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw wrong(i, `a whole number from ${min} to ${max}`);
    target[i] = value;
  }
  return target;
}

const DECIMAL_DIGITS = /^-?\d{1,20}$/;

function longs<A extends BigInt64Array | BigUint64Array>(target: A, flat: readonly unknown[], min: bigint, max: bigint, wrong: Wrong): A {
  const least = Math.max(Number(min), Number.MIN_SAFE_INTEGER);
  for (let i = 0; i < flat.length; i++) {
    const value = flat[i];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) target[i] = BigInt(value);
    else {
      const exact = typeof value === 'string' && DECIMAL_DIGITS.test(value) ? BigInt(value) : undefined;
      if (exact === undefined || exact < min || exact > max)
        throw wrong(
          i,
          `a whole number from ${least} to ${Number.MAX_SAFE_INTEGER}, or the digits of one from ${min} to ${max} in a string`,
        );
      target[i] = exact;
    }
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
 * The elements of a tensor as they travel in JSON, flat: integers beyond 2^53 with all their digits, bytes in base64
 * (`parameters` then says so).
 *
 * @throws model.failed when they hold what JSON cannot say (NaN, an infinity), or do not fill the shape
 */
export function elementsToJson({ name, datatype, shape, data }: Tensor): {
  readonly data: readonly unknown[];
  readonly parameters?: Parameters;
} {
  if (data.length !== elementCount(shape)) throw notFilled(name, datatype, shape, data.length);
  if (Array.isArray(data)) {
    if (data.every((element) => typeof element === 'string')) return { data };
    return { data: data.map((element) => Buffer.from(element).toString('base64')), parameters: BASE64_PARAMETERS };
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return { data: Array.from(data, exactInteger) };
  if (datatype === 'BOOL') return { data: Array.from(data, (value) => value !== 0) };
  const numbers = datatype === 'FP16' && data instanceof Uint16Array ? fromHalfBits(data) : Array.from(data);
  if (datatype === 'FP16' || datatype === 'FP32' || datatype === 'FP64') {
    for (const number of numbers)
      if (!Number.isFinite(number))
        throw new AppError('model.failed', {
          message: `the model's output ${quoted(name)} holds ${number}, which JSON cannot carry; ask for it as binary data`,
        });
  }
  return { data: numbers };
}

/** An output of a model that is not what its shape says. */
export function notFilled(name: string, datatype: Datatype, shape: readonly number[], length: number): AppError {
  return new AppError('model.failed', {
    cause: new Error(`output ${quoted(name)}: ${length} elements of ${datatype} do not fill shape ${formatShape(shape)}`),
  });
}

/** TypeScript's library does not know `JSON.rawJSON` yet; Node 24 has it. */
const json = JSON as JSON & { rawJSON(text: string): unknown };

/** As a number where that is exact, else its digits as they are. */
function exactInteger(value: bigint): unknown {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : json.rawJSON(value.toString());
}

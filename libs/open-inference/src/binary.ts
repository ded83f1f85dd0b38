import { assertNever } from '@weir/kernel';
import { notFilled } from './json.ts';
import { elementCount, formatShape, type BytesElement, type Tensor, type TensorData } from './tensor.ts';
import type { Datatype } from './types.ts';
import { invalid, quoted } from './values.ts';

/** Bytes of one element; `BYTES` has none of its own: each element says its length. */
const ELEMENT_BYTES: Readonly<Record<Exclude<Datatype, 'BYTES'>, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
};

/** Bytes of the length that stands before each element of `BYTES`. */
const LENGTH_BYTES = 4;

/** A tensor whose elements came as bytes: little-endian, row-major, without gaps. */
interface BinaryTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: Datatype;
  readonly data: Uint8Array;
}

/**
 * Checks that as many bytes came as shape and datatype say, before anything is made of them.
 *
 * @throws model.input_invalid
 */
export function assertByteSize({ name, shape, datatype, data }: BinaryTensor, field: string): void {
  const elements = elementCount(shape);
  const title = `input ${quoted(name)}: shape ${formatShape(shape)} of ${datatype}`;
  if (datatype !== 'BYTES') {
    const expected = elements * ELEMENT_BYTES[datatype];
    if (data.length !== expected) throw invalid(field, `${title} is ${expected} bytes, the binary data holds ${data.length}`);
  } else if (data.length < elements * LENGTH_BYTES)
    throw invalid(field, `${title} is at least ${elements * LENGTH_BYTES} bytes, the binary data holds ${data.length}`);
}

/**
 * The elements of a tensor that came as bytes. They are a view of `data` where its place in memory allows it, and a copy
 * where it does not; elements of `BYTES` are always views. So whoever changes or transfers them does it to the body too.
 * NaN and infinities are taken as they are.
 *
 * @param field where the tensor stands in the request, such as `inputs[0]`
 * @throws model.input_invalid when the bytes are not as many as the shape says, a length of an element of `BYTES` lies,
 *   or a `BOOL` is neither 0 nor 1
 */
export function elementsOfBytes(tensor: BinaryTensor, field: string): TensorData {
  assertByteSize(tensor, field);
  const { datatype, data } = tensor;
  switch (datatype) {
    case 'BOOL':
      return booleans(tensor, field);
    case 'UINT8':
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    case 'INT8':
      return new Int8Array(data.buffer, data.byteOffset, data.byteLength);
    case 'UINT16':
    case 'FP16': {
      const aligned = alignedTo(2, data);
      return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
    }
    case 'INT16': {
      const aligned = alignedTo(2, data);
      return new Int16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
    }
    case 'UINT32': {
      const aligned = alignedTo(4, data);
      return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
    }
    case 'INT32': {
      const aligned = alignedTo(4, data);
      return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
    }
    case 'FP32': {
      const aligned = alignedTo(4, data);
      return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
    }
    case 'UINT64': {
      const aligned = alignedTo(8, data);
      return new BigUint64Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 8);
    }
    case 'INT64': {
      const aligned = alignedTo(8, data);
      return new BigInt64Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 8);
    }
    case 'FP64': {
      const aligned = alignedTo(8, data);
      return new Float64Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 8);
    }
    case 'BYTES':
      return bytesElements(tensor, field);
    default:
      return assertNever(datatype);
  }
}

/** The same bytes where a typed array of this element size may stand: in place, or a copy of their own. */
function alignedTo(elementBytes: number, bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % elementBytes === 0 ? bytes : new Uint8Array(bytes);
}

function booleans({ name, data }: BinaryTensor, field: string): Uint8Array {
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (value !== 0 && value !== 1)
      throw invalid(`${field}.data[${i}]`, `input ${quoted(name)}: element ${i} must be 0 or 1 (BOOL), got ${value}`);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function bytesElements({ name, shape, data }: BinaryTensor, field: string): Uint8Array[] {
  const count = elementCount(shape);
  const lengths = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const elements: Uint8Array[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const left = data.length - offset - LENGTH_BYTES;
    if (left < 0)
      throw invalid(
        `${field}.data[${i}]`,
        `input ${quoted(name)}: the binary data ends before element ${i} of ${count} (BYTES: each behind its length in ${LENGTH_BYTES} bytes)`,
      );
    const length = lengths.getUint32(offset, true);
    if (length > left)
      throw invalid(
        `${field}.data[${i}]`,
        `input ${quoted(name)}: element ${i} of ${count} says that it is ${length} bytes long, ${left} are left (BYTES)`,
      );
    offset += LENGTH_BYTES;
    elements.push(data.subarray(offset, offset + length));
    offset += length;
  }
  if (offset !== data.length)
    throw invalid(
      field,
      `input ${quoted(name)}: shape ${formatShape(shape)} holds ${count} elements (BYTES), ${data.length - offset} bytes follow the last one`,
    );
  return elements;
}

/**
 * The elements of a tensor as bytes of the binary extension: a view of `data` where it is a typed array, so that it is
 * to be written out before `data` changes.
 *
 * @throws model.failed when shape and data are not of one length
 */
export function elementsToBytes({ name, datatype, shape, data }: Tensor): Uint8Array {
  if (Array.isArray(data)) {
    if (data.length === elementCount(shape)) return joined(data);
  } else if (datatype !== 'BYTES' && data.byteLength === elementCount(shape) * ELEMENT_BYTES[datatype]) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  throw notFilled(name, datatype, shape, data.length);
}

function joined(elements: readonly BytesElement[]): Uint8Array {
  let size = 0;
  for (const element of elements) size += LENGTH_BYTES + Buffer.byteLength(element);
  const bytes = Buffer.allocUnsafe(size);
  let offset = 0;
  for (const element of elements) {
    const length = typeof element === 'string' ? bytes.write(element, offset + LENGTH_BYTES) : element.length;
    if (typeof element !== 'string') bytes.set(element, offset + LENGTH_BYTES);
    bytes.writeUInt32LE(length, offset);
    offset += LENGTH_BYTES + length;
  }
  return bytes;
}

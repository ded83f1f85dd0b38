import type { Datatype } from './types.ts';

/** An element of `BYTES`: text where it came as JSON, bytes as they are where it came by the binary extension. */
export type BytesElement = string | Uint8Array;

/** Elements of a tensor. `FP16` travels as the 16 bits of each number, `BOOL` as 0 and 1. */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | BytesElement[];

/** A tensor in memory. */
export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** How many elements a shape holds; 1 for a scalar (`[]`). */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** The same tensor shape as people write it: `[2, 28, 28]`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

/** Bits of the half-precision numbers nearest to the given ones. */
export function toHalfBits(values: ArrayLike<number>): Uint16Array {
  return new Uint16Array(Float16Array.from(values).buffer);
}

/** Numbers of half-precision bits. */
export function fromHalfBits(bits: Uint16Array): number[] {
  return Array.from(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

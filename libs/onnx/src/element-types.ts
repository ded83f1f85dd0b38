/** What the numbers of a tensor are. */
export interface ElementType {
  /** As ONNX Runtime says it. */
  readonly name: string;
  /** Bits of one element; null for text, which has no fixed size. */
  readonly bits: number | null;
  /** Its name in the Open Inference Protocol; null where tensors of this type cannot be sent or answered. */
  readonly datatype: Datatype | null;
}

export type Datatype =
  'BOOL' | 'UINT8' | 'UINT16' | 'UINT32' | 'UINT64' | 'INT8' | 'INT16' | 'INT32' | 'INT64' | 'FP16' | 'FP32' | 'FP64' | 'BYTES';

const type = (name: string, bits: number | null, datatype: Datatype | null = null): ElementType => ({ name, bits, datatype });

/** What shapes are written in. */
export const INT64 = type('int64', 64, 'INT64');

/** By the number that ONNX files have for them (`TensorProto.DataType`). */
const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map([
  [1, type('float32', 32, 'FP32')],
  [2, type('uint8', 8, 'UINT8')],
  [3, type('int8', 8, 'INT8')],
  [4, type('uint16', 16, 'UINT16')],
  [5, type('int16', 16, 'INT16')],
  [6, type('int32', 32, 'INT32')],
  [7, INT64],
  [8, type('string', null, 'BYTES')],
  [9, type('bool', 8, 'BOOL')],
  [10, type('float16', 16, 'FP16')],
  [11, type('float64', 64, 'FP64')],
  [12, type('uint32', 32, 'UINT32')],
  [13, type('uint64', 64, 'UINT64')],
  [14, type('complex64', 64)],
  [15, type('complex128', 128)],
  [16, type('bfloat16', 16)],
  [17, type('float8e4m3fn', 8)],
  [18, type('float8e4m3fnuz', 8)],
  [19, type('float8e5m2', 8)],
  [20, type('float8e5m2fnuz', 8)],
  [21, type('uint4', 4)],
  [22, type('int4', 4)],
  [23, type('float4e2m1', 4)],
  [24, type('float8e8m0', 8)],
  [25, type('uint2', 2)],
  [26, type('int2', 2)],
]);

/** Undefined for a number that ONNX does not have. */
export function elementTypeOf(number: number): ElementType | undefined {
  return ELEMENT_TYPES.get(number);
}

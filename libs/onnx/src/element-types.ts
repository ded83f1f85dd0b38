/** What the numbers of a tensor are. */
export interface ElementType {
  /** The number that ONNX files have for it (`TensorProto.DataType`). */
  readonly code: number;
  /** As ONNX Runtime says it. */
  readonly name: string;
  /** Bits of one element; null for text, which has no fixed size. */
  readonly bits: number | null;
  /** Its name in the Open Inference Protocol; null where tensors of this type cannot be sent or answered. */
  readonly datatype: Datatype | null;
}

export type Datatype =
  'BOOL' | 'UINT8' | 'UINT16' | 'UINT32' | 'UINT64' | 'INT8' | 'INT16' | 'INT32' | 'INT64' | 'FP16' | 'FP32' | 'FP64' | 'BYTES';

const type = (code: number, name: string, bits: number | null, datatype: Datatype | null = null): ElementType => ({
  code,
  name,
  bits,
  datatype,
});

/** What shapes are written in. */
export const INT64 = type(7, 'int64', 64, 'INT64');

const ELEMENT_TYPES: readonly ElementType[] = [
  type(1, 'float32', 32, 'FP32'),
  type(2, 'uint8', 8, 'UINT8'),
  type(3, 'int8', 8, 'INT8'),
  type(4, 'uint16', 16, 'UINT16'),
  type(5, 'int16', 16, 'INT16'),
  type(6, 'int32', 32, 'INT32'),
  INT64,
  type(8, 'string', null, 'BYTES'),
  type(9, 'bool', 8, 'BOOL'),
  type(10, 'float16', 16, 'FP16'),
  type(11, 'float64', 64, 'FP64'),
  type(12, 'uint32', 32, 'UINT32'),
  type(13, 'uint64', 64, 'UINT64'),
  type(14, 'complex64', 64),
  type(15, 'complex128', 128),
  type(16, 'bfloat16', 16),
  type(17, 'float8e4m3fn', 8),
  type(18, 'float8e4m3fnuz', 8),
  type(19, 'float8e5m2', 8),
  type(20, 'float8e5m2fnuz', 8),
  type(21, 'uint4', 4),
  type(22, 'int4', 4),
  type(23, 'float4e2m1', 4),
  type(24, 'float8e8m0', 8),
  type(25, 'uint2', 2),
  type(26, 'int2', 2),
];
const BY_CODE: ReadonlyMap<number, ElementType> = new Map(ELEMENT_TYPES.map((elementType) => [elementType.code, elementType]));

/** Undefined for a number that ONNX does not have. */
export function elementTypeOf(code: number): ElementType | undefined {
  return BY_CODE.get(code);
}

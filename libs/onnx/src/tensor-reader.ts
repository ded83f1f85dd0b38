import { WireType } from '@bufbuild/protobuf/wire';
import { elementTypeOf, type ElementType } from './element-types.ts';
import type { OnnxTensor, TensorStorage } from './onnx-model.ts';
import { MAX_AXES, MAX_LOCATION_BYTES, MAX_NAME_BYTES } from './reading-limits.ts';
import type { Walk, WireCursor } from './wire-cursor.ts';

/** Whole numbers of at most this many are read, because they may be shapes. */
const MAX_SHAPE_NUMBERS = MAX_AXES;
const MAX_SHAPE_BYTES = MAX_SHAPE_NUMBERS * 8;
const MAX_VARINT_BYTES = 10;
/** `DataLocation.EXTERNAL` */
const EXTERNAL = 1n;

/** A tensor, and its numbers where they may be a shape. */
export interface ReadTensor extends OnnxTensor {
  readonly shape: readonly number[] | null;
}

/** Everything that a tensor's message said, before it is known what it means: fields come in any order. */
class TensorFields {
  name = '';
  dataType = 0;
  isExternal = false;
  readonly dims: bigint[] = [];
  /** `raw_data`, or packed numbers that are written as they lie in memory. */
  content: { readonly offset: number; readonly bytes: number } | null = null;
  /** Bytes of everything that holds data. */
  dataBytes = 0;
  /** Fields that hold data: in more than one they do not lie together. */
  dataFields = 0;
  /** Elements, where each is a field of its own. */
  dataElements = 0;
  small: Uint8Array | null = null;
  readonly integers: bigint[] = [];
  location: string | null = null;
  offset = '0';
  length: string | null = null;
}

/** Reads the `TensorProto` that the cursor stands on. Its numbers are passed over. */
export function* readTensor(cursor: WireCursor, role: OnnxTensor['role']): Walk<ReadTensor> {
  const fields = new TensorFields();
  const end = cursor.enter('a tensor');
  while (yield* cursor.next(end)) yield* readTensorField(cursor, fields);
  return tensorOf(cursor, role, fields);
}

function* readTensorField(cursor: WireCursor, fields: TensorFields): Walk<void> {
  switch (cursor.field) {
    case 1:
      return yield* cursor.integers('the shape of a tensor', fields.dims, MAX_AXES);
    case 2:
      fields.dataType = Number(cursor.integer);
      return;
    case 7: // int64_data
      noteData(cursor, fields, false);
      // As many as a shape has; of what has more only the size matters.
      if (fields.integers.length <= MAX_SHAPE_NUMBERS && cursor.contentBytes <= MAX_SHAPE_NUMBERS * MAX_VARINT_BYTES)
        yield* cursor.integers('the numbers of a tensor', fields.integers, Infinity);
      return;
    case 5: // int32_data
    case 6: // string_data
    case 11: // uint64_data
      return noteData(cursor, fields, false);
    case 4: // float_data
    case 10: // double_data
      return noteData(cursor, fields, cursor.wire === WireType.LengthDelimited);
    case 8:
      fields.name = yield* cursor.text('the name of a tensor', MAX_NAME_BYTES);
      return;
    case 9: // raw_data
      noteData(cursor, fields, true);
      if (cursor.contentBytes <= MAX_SHAPE_BYTES) fields.small = (yield* cursor.bytes('the data of a tensor', MAX_SHAPE_BYTES)).slice();
      return;
    case 13:
      return yield* readExternalEntry(cursor, fields);
    case 14:
      fields.isExternal = cursor.integer === EXTERNAL;
  }
}

function noteData(cursor: WireCursor, fields: TensorFields, liesAsInMemory: boolean): void {
  const isPacked = cursor.wire === WireType.LengthDelimited;
  const bytes = isPacked ? cursor.contentBytes : cursor.fieldEnd - cursor.fieldStart - 1;
  if (bytes === 0 && cursor.field !== 6) return;
  fields.dataFields++;
  fields.dataBytes += bytes;
  fields.dataElements++;
  fields.content = liesAsInMemory && fields.dataFields === 1 ? { offset: cursor.contentStart, bytes } : null;
}

function* readExternalEntry(cursor: WireCursor, fields: TensorFields): Walk<void> {
  let key = '';
  let value = '';
  const end = cursor.enter('a place of external data');
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) key = yield* cursor.text('a word of external data', MAX_LOCATION_BYTES);
    if (cursor.field === 2) value = yield* cursor.text('a place of external data', MAX_LOCATION_BYTES);
  }
  if (key === 'location') fields.location = value;
  if (key === 'offset') fields.offset = value;
  if (key === 'length') fields.length = value;
}

function tensorOf(cursor: WireCursor, role: OnnxTensor['role'], fields: TensorFields): ReadTensor {
  const label = tensorLabel(fields.name);
  const elementType = elementTypeOf(fields.dataType);
  if (elementType === undefined) throw cursor.invalid(`${label} has a type that ONNX does not have (${fields.dataType})`);
  const { dims, elements } = sizesOf(cursor, label, fields.dims);
  const storage = fields.isExternal ? externalStorage(cursor, label, fields) : inlineStorage(cursor, label, elementType, elements, fields);
  const sizeBytes = bytesOf(elementType, elements) ?? fields.dataBytes;
  return { name: fields.name, role, elementType, dims, elements, sizeBytes, storage, shape: shapeOf(elementType, dims, elements, fields) };
}

/** How messages call a tensor. */
export function tensorLabel(name: string): string {
  return name === '' ? 'a tensor' : `the tensor ${JSON.stringify(name.slice(0, 80))}`;
}

/** What elements take in memory; null for text. */
export function bytesOf(elementType: ElementType, elements: number): number | null {
  return elementType.bits === null ? null : Math.ceil((elements * elementType.bits) / 8);
}

/** The axes and how many elements they make. */
export function sizesOf(cursor: WireCursor, label: string, sizes: readonly bigint[]): { dims: number[]; elements: number } {
  const dims = sizes.map((size) => {
    if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) throw cursor.invalid(`${label} has an axis of ${size} elements`);
    return Number(size);
  });
  const elements = dims.includes(0) ? 0 : dims.reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(elements)) throw cursor.invalid(`${label} has more elements than can be counted`);
  return { dims, elements };
}

function externalStorage(cursor: WireCursor, label: string, fields: TensorFields): TensorStorage {
  if (fields.dataBytes > 0) throw cursor.invalid(`${label} has its data twice, inside and outside of the file`);
  if (fields.location === null || fields.location === '') throw cursor.invalid(`${label} has external data and does not say where`);
  const offset = decimal(cursor, `${label} has an offset of external data`, fields.offset);
  const bytes = fields.length === null ? null : decimal(cursor, `${label} has a length of external data`, fields.length);
  return { kind: 'external', location: fields.location, offset, bytes };
}

function decimal(cursor: WireCursor, what: string, text: string): number {
  const number = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(number)) throw cursor.invalid(`${what} that is no number of bytes`);
  return number;
}

/** Whoever declares elements has to bring them: all of their bytes, or one for each where they are numbers of variable length. */
function inlineStorage(cursor: WireCursor, label: string, elementType: ElementType, elements: number, fields: TensorFields): TensorStorage {
  const needed = bytesOf(elementType, elements);
  const isThere =
    fields.content !== null && needed !== null
      ? fields.dataBytes === needed
      : elementType.bits === null
        ? fields.dataElements === elements
        : Math.ceil((elements * Math.min(elementType.bits, 8)) / 8) <= fields.dataBytes;
  if (!isThere) throw cursor.invalid(`${label} declares ${elements} elements of ${elementType.name} and has ${fields.dataBytes} bytes`);
  return { kind: 'inline', bytes: fields.dataBytes, content: fields.content };
}

function shapeOf(elementType: ElementType, dims: readonly number[], elements: number, fields: TensorFields): readonly number[] | null {
  if (elementType.name !== 'int64' || dims.length > 1 || elements > MAX_SHAPE_NUMBERS) return null;
  const numbers = fields.small === null ? fields.integers : int64s(fields.small);
  return numbers.length === elements ? numbers.map(Number) : null;
}

function int64s(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => view.getBigInt64(index * 8, true));
}

/** Reads the `SparseTensorProto` that the cursor stands on: what it becomes in memory, and the positions beside it. */
export function* readSparseTensor(cursor: WireCursor): Walk<readonly [OnnxTensor, OnnxTensor]> {
  let values: OnnxTensor | null = null;
  let positions: OnnxTensor | null = null;
  const sizes: bigint[] = [];
  const end = cursor.enter('a sparse tensor');
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) {
      if (values !== null) throw cursor.invalid('a sparse tensor has its values twice');
      values = yield* readTensor(cursor, 'sparse');
    } else if (cursor.field === 2) {
      if (positions !== null) throw cursor.invalid('a sparse tensor has its positions twice');
      positions = yield* readTensor(cursor, 'constant');
    } else if (cursor.field === 3) yield* cursor.integers('the shape of a sparse tensor', sizes, MAX_AXES);
  }
  if (values === null || positions === null) throw cursor.invalid('a sparse tensor has no values or no positions');
  const { dims, elements } = sizesOf(cursor, tensorLabel(values.name), sizes);
  const sizeBytes = bytesOf(values.elementType, elements) ?? values.sizeBytes;
  return [{ ...values, dims, elements, sizeBytes }, positions];
}

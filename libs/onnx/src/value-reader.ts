import { elementTypeOf, type ElementType } from './element-types.ts';
import type { Axis, OnnxValue } from './onnx-model.ts';
import { MAX_AXES, MAX_PUBLIC_NAME_BYTES } from './reading-limits.ts';
import type { Walk, WireCursor } from './wire-cursor.ts';

/** Reads the `ValueInfoProto` that the cursor stands on. */
export function* readValue(cursor: WireCursor, what: string): Walk<OnnxValue> {
  let name = '';
  let type: TensorType | null = null;
  const end = cursor.enter(what);
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) name = yield* cursor.text(`the name of ${what}`, MAX_PUBLIC_NAME_BYTES);
    if (cursor.field === 2) {
      if (type !== null) throw cursor.invalid(`${what} has its type twice`);
      type = yield* readType(cursor, what);
    }
  }
  return { name, elementType: type?.elementType ?? null, axes: type?.axes ?? null };
}

interface TensorType {
  readonly elementType: ElementType | null;
  readonly axes: readonly Axis[] | null;
}

/** `TypeProto`: a tensor (field 1), or something that has no tensor type. */
function* readType(cursor: WireCursor, what: string): Walk<TensorType> {
  let type: TensorType | null = null;
  const end = cursor.enter(`the type of ${what}`);
  while (yield* cursor.next(end)) {
    if (cursor.field !== 1) continue;
    if (type !== null) throw cursor.invalid(`${what} has its type twice`);
    type = yield* readTensorType(cursor, what);
  }
  return type ?? { elementType: null, axes: null };
}

function* readTensorType(cursor: WireCursor, what: string): Walk<TensorType> {
  let elementType: ElementType | null = null;
  let axes: Axis[] | null = null;
  const end = cursor.enter(`the type of ${what}`);
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) {
      elementType = elementTypeOf(Number(cursor.integer)) ?? null;
      if (elementType === null) throw cursor.invalid(`${what} has a type that ONNX does not have (${cursor.integer})`);
    }
    if (cursor.field === 2) {
      if (axes !== null) throw cursor.invalid(`${what} has its shape twice`);
      axes = yield* readShape(cursor, what);
    }
  }
  return { elementType, axes };
}

function* readShape(cursor: WireCursor, what: string): Walk<Axis[]> {
  const axes: Axis[] = [];
  const end = cursor.enter(`the shape of ${what}`);
  while (yield* cursor.next(end)) {
    if (cursor.field !== 1) continue;
    if (axes.length === MAX_AXES) throw cursor.invalid(`${what} has more than ${MAX_AXES} axes`);
    axes.push(yield* readAxis(cursor, what));
  }
  return axes;
}

/** A size, or the name of one that may vary. Exporters also write 0, -1 and '' for what may vary. */
function* readAxis(cursor: WireCursor, what: string): Walk<Axis> {
  let axis: Axis = null;
  const end = cursor.enter(`an axis of ${what}`);
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) {
      if (cursor.integer > BigInt(Number.MAX_SAFE_INTEGER)) throw cursor.invalid(`${what} has an axis of ${cursor.integer} elements`);
      axis = cursor.integer > 0n ? Number(cursor.integer) : null;
    }
    if (cursor.field === 2) {
      const name = yield* cursor.text(`the name of an axis of ${what}`, MAX_PUBLIC_NAME_BYTES);
      axis = name === '' ? null : name;
    }
  }
  return axis;
}

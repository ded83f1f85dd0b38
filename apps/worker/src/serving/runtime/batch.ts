import type { BytesElement, TensorData } from '@weir/open-inference';
import type { PaddingRule } from '../model-package/network.ts';
import type { OnnxTensor } from './messages.ts';

// Tensors of several callers in one buffer. Nothing here trusts a size that it can check: an index that is off by one row is
// another tenant's data. Every function throws on tensors that do not fit; the caller then runs the items one by one.

/** Rows of one item, measured from its feeds. */
export interface BatchItem {
  readonly feeds: readonly OnnxTensor[];
  readonly rows: number;
  /** Elements of each row along the padded axis; 0 where nothing is padded. */
  readonly length: number;
}

type Numbers = Exclude<TensorData, BytesElement[]>;

/**
 * Concatenates the feeds of several items along the first axis; shorter rows are padded at their end.
 *
 * @throws when the items differ in names, types or sizes that are not padded, or a tensor does not have its declared size
 */
export function concatenate(items: readonly BatchItem[], padding: PaddingRule | null): OnnxTensor[] {
  const [first] = items;
  if (first === undefined) return [];
  if (items.length === 1) return [...first.feeds];
  const { rows, longest } = extentOf(items);
  if (items.some(({ feeds }) => feeds.length !== first.feeds.length)) throw new Error('the items of the batch have different inputs');
  return first.feeds.map((feed, index) => {
    const rule = padding?.inputs.get(feed.name);
    const dims = feed.dims.map((size, axis) => (axis === 0 ? rows : axis === rule?.axis ? longest : size));
    const parts = items.map((item) => checkedPart(item, index, feed, dims, rule?.axis));
    if (Array.isArray(feed.data)) return { ...feed, dims, data: parts.flatMap(({ data }) => data as BytesElement[]) };
    const target = arrayLike(feed.data, product(dims));
    if (rule !== undefined && rule.fill !== 0) fill(target, rule.fill);
    let offset = 0;
    for (const part of parts) {
      const axis = rule !== undefined && part.dims[rule.axis] !== longest ? rule.axis : 0;
      copyRows(target, offset, part.data as Numbers, part.dims, axis, axis === 0 ? (part.dims[0] ?? 0) : longest);
      offset += product([part.dims[0] ?? 0, ...dims.slice(1)]);
    }
    if (offset !== target.length) throw new Error(`the batch of ${feed.name} is not filled`);
    return { ...feed, dims, data: target };
  });
}

/**
 * Splits the outputs of a batch into those of its items, without the padding.
 *
 * @param lengthAxes of an output by its name: axes that have the length
 * @throws when an output does not have the rows of the batch as its first axis, or the longest length along an axis of the length
 */
export function split(
  outputs: readonly OnnxTensor[],
  items: readonly BatchItem[],
  lengthAxes: (name: string) => readonly number[],
): OnnxTensor[][] {
  if (items.length === 1) return [[...outputs]];
  const { rows, longest } = extentOf(items);
  for (const output of outputs) {
    assertFilled(output);
    if (output.dims[0] !== rows) throw new Error(`the output ${output.name} does not have the rows of the batch`);
    if (longest > 0 && lengthAxes(output.name).some((axis) => output.dims[axis] !== longest))
      throw new Error(`the output ${output.name} does not have the length of the batch`);
  }
  let row = 0;
  return items.map((item) => {
    const start = row;
    row += item.rows;
    return outputs.map((output) => {
      let part = rowRange(output, start, row);
      if (item.length !== longest) for (const axis of lengthAxes(output.name)) part = cut(part, axis, item.length);
      // A view would keep the whole batch alive, and hand it on with the buffer.
      return { ...part, data: part.data.length === output.data.length ? part.data : (part.data.slice() as TensorData) };
    });
  });
}

/** Rows `start` to `end` (exclusive) of a tensor, as a view of its data. */
export function rowRange(tensor: OnnxTensor, start: number, end: number): OnnxTensor {
  const { dims, data } = tensor;
  const size = product(dims.slice(1));
  const part = Array.isArray(data) ? data.slice(start * size, end * size) : (data.subarray(start * size, end * size) as Numbers);
  return { ...tensor, dims: [end - start, ...dims.slice(1)], data: part };
}

/**
 * Puts the outputs of the chunks of one item together again.
 *
 * @throws when they differ in more than rows
 */
export function concatenateRows(chunks: readonly (readonly OnnxTensor[])[]): OnnxTensor[] {
  return concatenate(
    chunks.map((feeds) => ({ feeds, rows: feeds[0]?.dims[0] ?? 0, length: 0 })),
    null,
  );
}

/** Fraction of a batch's elements that is padding: 0 where all rows are equally long. */
export function paddingWaste(items: readonly BatchItem[]): number {
  const { rows, longest } = extentOf(items);
  const used = items.reduce((sum, item) => sum + item.rows * item.length, 0);
  return longest === 0 ? 0 : 1 - used / (rows * longest);
}

export function product(sizes: readonly number[]): number {
  let all = 1;
  for (const size of sizes) all *= size;
  return all;
}

/** Rows of a batch, and the length that its rows are padded to. */
export function extentOf(items: readonly Pick<BatchItem, 'rows' | 'length'>[]): { rows: number; longest: number } {
  let rows = 0;
  let longest = 0;
  for (const item of items) {
    rows += item.rows;
    longest = Math.max(longest, item.length);
  }
  return { rows, longest };
}

/** The feed of an item, when it fits into the batch. */
function checkedPart(item: BatchItem, index: number, like: OnnxTensor, dims: readonly number[], padded: number | undefined): OnnxTensor {
  const part = item.feeds[index];
  if (part === undefined || part.name !== like.name || part.type !== like.type)
    throw new Error(`an item of the batch has no ${like.type} ${like.name}`);
  const fits =
    part.dims.length === dims.length &&
    part.dims.every((size, axis) => (axis === 0 ? size === item.rows : axis === padded ? size === item.length : size === dims[axis]));
  if (!fits) throw new Error(`an item of the batch has another size of ${like.name}`);
  assertFilled(part);
  return part;
}

function assertFilled({ name, dims, data }: OnnxTensor): void {
  if (data.length !== product(dims)) throw new Error(`${name} does not have as many elements as its shape`);
}

function cut(tensor: OnnxTensor, axis: number, size: number): OnnxTensor {
  const { dims, data } = tensor;
  const outer = product(dims.slice(0, axis));
  const inner = product(dims.slice(axis + 1));
  const full = dims[axis] ?? 0;
  if (size > full) throw new Error(`${tensor.name} is shorter than its item`);
  const kept = dims.map((old, index) => (index === axis ? size : old));
  if (Array.isArray(data)) {
    const part = Array.from({ length: outer }, (_, index) => data.slice(index * full * inner, (index * full + size) * inner)).flat();
    return { ...tensor, dims: kept, data: part };
  }
  const target = arrayLike(data, outer * size * inner);
  for (let index = 0; index < outer; index++)
    copy(target, data.subarray(index * full * inner, (index * full + size) * inner) as Numbers, index * size * inner);
  return { ...tensor, dims: kept, data: target };
}

/** Copies a tensor behind `offset`, with each of its rows along `axis` as long as `longest` there. */
function copyRows(target: Numbers, offset: number, source: Numbers, dims: readonly number[], axis: number, longest: number): void {
  if (axis === 0) return copy(target, source, offset);
  const outer = product(dims.slice(0, axis));
  const inner = product(dims.slice(axis + 1));
  const size = (dims[axis] ?? 0) * inner;
  for (let index = 0; index < outer; index++)
    copy(target, source.subarray(index * size, (index + 1) * size) as Numbers, offset + index * longest * inner);
}

function arrayLike(data: Numbers, length: number): Numbers {
  return new (data.constructor as new (length: number) => Numbers)(length);
}

function copy(target: Numbers, source: Numbers, offset: number): void {
  (target as Float32Array).set(source as Float32Array, offset);
}

function fill(target: Numbers, value: number): void {
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) target.fill(BigInt(value));
  else target.fill(value);
}

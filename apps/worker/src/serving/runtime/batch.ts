import type { BytesElement, TensorData } from '@weir/open-inference';
import type { PaddingRule } from '../model-package/network.ts';
import type { OnnxTensor } from './messages.ts';

/** Rows of one item, as a batch needs to know them. */
export interface BatchItem {
  readonly feeds: readonly OnnxTensor[];
  readonly rows: number;
  /** Elements of each row along the padded axis; 0 where nothing is padded. */
  readonly length: number;
}

type Numbers = Exclude<TensorData, BytesElement[]>;

/** Joins the feeds of several items along the first axis; rows that are shorter are filled up on the right. */
export function joined(items: readonly BatchItem[], padding: PaddingRule | null): OnnxTensor[] {
  const [first] = items;
  if (first === undefined) return [];
  if (items.length === 1) return [...first.feeds];
  const rows = items.reduce((sum, item) => sum + item.rows, 0);
  const longest = items.reduce((length, item) => Math.max(length, item.length), 0);
  return first.feeds.map((feed, index) => {
    const rule = padding?.inputs.get(feed.name);
    const dims = feed.dims.map((size, axis) => (axis === 0 ? rows : axis === rule?.axis ? longest : size));
    const parts = items.map((item) => item.feeds[index] ?? feed);
    if (Array.isArray(feed.data)) return { ...feed, dims, data: parts.flatMap((part) => part.data as BytesElement[]) };
    const target = arrayLike(feed.data, product(dims));
    if (rule !== undefined && rule.fill !== 0) fill(target, rule.fill);
    let offset = 0;
    for (const part of parts) {
      const source = part.data as Numbers;
      if (rule === undefined || part.dims[rule.axis] === longest) {
        copy(target, source, offset);
        offset += source.length;
      } else {
        offset = copyPadded(target, offset, source, part.dims, rule.axis, longest);
      }
    }
    return { ...feed, dims, data: target };
  });
}

/**
 * The part of each item in the outputs of their common run; what was padded is cut off again.
 *
 * @throws when an output does not have the rows of the batch as its first axis
 */
export function parted(outputs: readonly OnnxTensor[], items: readonly BatchItem[], padding: PaddingRule | null): OnnxTensor[][] {
  if (items.length === 1) return [[...outputs]];
  const rows = items.reduce((sum, item) => sum + item.rows, 0);
  const longest = items.reduce((length, item) => Math.max(length, item.length), 0);
  for (const { name, dims } of outputs) if (dims[0] !== rows) throw new Error(`the output ${name} does not have the rows of the batch`);
  let row = 0;
  return items.map((item) => {
    const start = row;
    row += item.rows;
    return outputs.map((output) => {
      const rowSize = product(output.dims.slice(1));
      const data = output.data.slice(start * rowSize, row * rowSize) as TensorData;
      const part = { ...output, dims: [item.rows, ...output.dims.slice(1)], data };
      const rule = padding?.outputs ?? null;
      const isPadded = rule !== null && output.dims.length === rule.rank && output.dims[rule.axis] === longest && item.length !== longest;
      return isPadded ? cut(part, rule.axis, item.length) : part;
    });
  });
}

/** Part of the joined elements that is padding: 0 where all rows are equally long. */
export function paddingWaste(items: readonly BatchItem[]): number {
  const rows = items.reduce((sum, item) => sum + item.rows, 0);
  const longest = items.reduce((length, item) => Math.max(length, item.length), 0);
  const used = items.reduce((sum, item) => sum + item.rows * item.length, 0);
  return longest === 0 ? 0 : 1 - used / (rows * longest);
}

function cut(tensor: OnnxTensor, axis: number, size: number): OnnxTensor {
  const { dims, data } = tensor;
  const outer = product(dims.slice(0, axis));
  const inner = product(dims.slice(axis + 1));
  const full = dims[axis] ?? 0;
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

/** Copies rows that are shorter along `axis` into rows of `longest`; answers where the next item begins. */
function copyPadded(target: Numbers, offset: number, source: Numbers, dims: readonly number[], axis: number, longest: number): number {
  const outer = product(dims.slice(0, axis));
  const inner = product(dims.slice(axis + 1));
  const size = (dims[axis] ?? 0) * inner;
  for (let index = 0; index < outer; index++)
    copy(target, source.subarray(index * size, (index + 1) * size) as Numbers, offset + index * longest * inner);
  return offset + outer * longest * inner;
}

function product(sizes: readonly number[]): number {
  let all = 1;
  for (const size of sizes) all *= size;
  return all;
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

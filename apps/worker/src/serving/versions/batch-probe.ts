import { AppError } from '@weir/kernel';
import { fromHalfBits, toHalfBits, type BytesElement } from '@weir/open-inference';
import { privateMemoryBytes } from './process-memory.ts';
import { product } from '../runtime/batch.ts';
import type { LoadedSignature, OnnxTensor, OnnxType } from '../runtime/messages.ts';
import type { PaddingRule } from '../model-package/network.ts';
import type { Batching } from '../runtime/network-shape.ts';
import type { Network, ProbeItem } from '../runtime/network.ts';

/** Differences of this size are rounding: kernels for one row and for many add in another order. */
export const RELATIVE_TOLERANCE = 1e-3;
export const ABSOLUTE_TOLERANCE = 1e-4;
/** Size of the free axes, beside the batch, of inputs that are made up. */
const FREE_SIZE = 8;
/**
 * Copies in the larger probe: the cost of a run is linear, so two sizes determine it; its memory has to exceed the noise. As many as
 * run in this time, in milliseconds.
 */
const MIN_PROBE_ITEMS = 4;
const MAX_PROBE_ITEMS = 32;
const PROBE_MS = 200;

/**
 * Runs a network that was just loaded, so that its first caller does not wait for what only the first run does, its
 * cost is known, and it is known which rows may share runs: the result of a row must depend neither on the rows beside it (dynamic
 * int8, for one, scales by the whole batch, so that a caller would see a neighbour in the last digits) nor on padding.
 *
 * @param sample rows that the network is known to take; null: made up from its signature
 * @throws model.failed, worker.unreachable when a run does not end, or ends its thread
 */
export async function probe(network: Network, sample: ProbeItem | null): Promise<Batching> {
  const item = sample ?? madeUp(network.signature);
  if (item === null) return 'none';
  try {
    // Twice: the first run allocates.
    await network.runTogether([copied(item)]);
    const startedAtMs = performance.now();
    const [alone] = await network.runTogether([copied(item)]);
    const itemMs = performance.now() - startedAtMs;
    if (alone === undefined || !network.hasBatchAxis) return 'none';
    const count = Math.min(MAX_PROBE_ITEMS, Math.max(MIN_PROBE_ITEMS, Math.floor(PROBE_MS / itemMs)));
    const beside = await network.runLargest([copied(item), ...Array.from({ length: count - 1 }, () => changed(item))], privateMemoryBytes);
    if (!isSame(alone, beside)) return 'none';
    return (await isPaddingInvariant(network, item)) ? 'padded' : 'equal-lengths';
  } catch (error) {
    // A run that hangs is no answer.
    if (error instanceof AppError) throw error;
    // It takes no made-up rows, or no batches: then it takes its callers' rows one call at a time.
    return 'none';
  }
}

/** Does a row give the same when it is padded to a neighbour twice as long? */
async function isPaddingInvariant(network: Network, item: ProbeItem): Promise<boolean> {
  const { padding } = network;
  if (padding === null || padding.outputs === 'uncut') return true;
  const short = shortened(item, padding);
  if (short === null) return false;
  try {
    const [alone = []] = await network.runTogether([copied(short)]);
    const [beside] = await network.runTogether([copied(short), copied(item)]);
    return isSame(alone, beside);
  } catch (error) {
    if (error instanceof AppError) throw error;
    return false;
  }
}

/** The first half of each row along the padded axis; null where there is none. */
function shortened({ feeds, outputs }: ProbeItem, { inputs }: PaddingRule): ProbeItem | null {
  const cut: OnnxTensor[] = [];
  for (const feed of feeds) {
    const axis = inputs.get(feed.name)?.axis;
    const full = feed.dims[axis ?? -1] ?? 0;
    if (axis === undefined) {
      cut.push(feed);
      continue;
    }
    if (full < 2) return null;
    const inner = product(feed.dims.slice(axis + 1));
    const kept = Math.floor(full / 2) * inner;
    const data = feed.data.filter((_: unknown, index: number) => index % (full * inner) < kept) as OnnxTensor['data'];
    cut.push({ ...feed, dims: feed.dims.map((size, index) => (index === axis ? kept / inner : size)), data });
  }
  return { feeds: cut, outputs };
}

function isSame(alone: readonly OnnxTensor[], beside: readonly OnnxTensor[] | undefined): boolean {
  return beside !== undefined && alone.every((output, index) => isSameTensor(output, beside[index]));
}

function isSameTensor(a: OnnxTensor, b: OnnxTensor | undefined): boolean {
  if (b === undefined || a.dims.length !== b.dims.length || !a.dims.every((size, axis) => size === b.dims[axis])) return false;
  if (Array.isArray(a.data) || Array.isArray(b.data)) return JSON.stringify(a.data) === JSON.stringify(b.data);
  const [left, right] = [numbersOf(a), numbersOf(b)];
  return left.every((value, index) => {
    const other = right[index] ?? Number.NaN;
    return Object.is(value, other) || Math.abs(value - other) <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * Math.abs(value);
  });
}

function numbersOf({ type, data }: OnnxTensor): number[] {
  if (type === 'float16') return fromHalfBits(data as Uint16Array);
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

function copied(item: ProbeItem): ProbeItem {
  return { ...item, feeds: item.feeds.map((feed) => ({ ...feed, data: feed.data.slice() as OnnxTensor['data'] })) };
}

/** Other rows of the same shape that are as good as the given ones: real numbers halved, whole ones in another order. */
function changed(item: ProbeItem): ProbeItem {
  const { feeds, ...rest } = copied(item);
  for (const { type, data } of feeds) {
    if (Array.isArray(data)) data.reverse();
    else if (type === 'float16') (data as Uint16Array).set(toHalfBits(fromHalfBits(data as Uint16Array).map((value) => value / 2)));
    else if (data instanceof Float32Array || data instanceof Float64Array)
      for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) / 2;
    else data.reverse();
  }
  return { ...rest, feeds };
}

/** One row by the signature alone: ones where whole numbers are taken (they may be divisors), else a ramp. */
function madeUp({ inputs, outputs }: LoadedSignature): ProbeItem | null {
  const feeds: OnnxTensor[] = [];
  for (const { name, type, dims } of inputs) {
    const shape = dims.map((size, axis) => (typeof size === 'number' && size > 0 ? size : axis === 0 ? 1 : FREE_SIZE));
    const data = madeUpData(type as OnnxType, product(shape));
    if (data === null) return null;
    feeds.push({ name, type: type as OnnxType, dims: shape, data });
  }
  return { feeds, outputs: outputs.map(({ name }) => name) };
}

function madeUpData(type: OnnxType, count: number): OnnxTensor['data'] | null {
  const ramp = (index: number): number => (index % 17) / 17;
  switch (type) {
    case 'float32':
      return Float32Array.from({ length: count }, (_, index) => ramp(index));
    case 'float64':
      return Float64Array.from({ length: count }, (_, index) => ramp(index));
    case 'float16':
      return toHalfBits(Array.from({ length: count }, (_, index) => ramp(index)));
    case 'int64':
      return new BigInt64Array(count).fill(1n);
    case 'uint64':
      return new BigUint64Array(count).fill(1n);
    case 'int32':
      return new Int32Array(count).fill(1);
    case 'uint32':
      return new Uint32Array(count).fill(1);
    case 'int16':
      return new Int16Array(count).fill(1);
    case 'uint16':
      return new Uint16Array(count).fill(1);
    case 'int8':
      return new Int8Array(count).fill(1);
    case 'uint8':
    case 'bool':
      return new Uint8Array(count).fill(1);
    case 'string':
      return Array.from({ length: count }, (): BytesElement => '');
    default:
      return null;
  }
}

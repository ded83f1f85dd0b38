import { AppError } from '@weir/kernel';
import { fromHalfBits, toHalfBits, type BytesElement } from '@weir/open-inference';
import type { LoadedSignature, OnnxTensor, OnnxType } from '../runtime/messages.ts';
import type { Network, ProbeItem } from '../runtime/network.ts';

/** Differences of this size are rounding: kernels for one row and for many add in another order. */
const RELATIVE_TOLERANCE = 1e-3;
const ABSOLUTE_TOLERANCE = 1e-4;
/** Size of the free axes, beside the batch, of inputs that are made up. */
const FREE_SIZE = 8;
/** Copies in the larger probe: the cost of a run is a line, and two sizes make one. */
const PROBE_ITEMS = 4;

/**
 * Runs a network that was just loaded, so that its first caller does not wait for what only the first run does, its
 * cost is known, and it is known whether callers may share runs: the answer for a row must not depend on
 * the rows beside it. (Dynamic int8, for one, scales by the whole batch: whoever shared its runs could see a neighbour in
 * the last digits.)
 *
 * @param sample rows that the network is known to take; null: made up from its signature
 * @returns may rows of different callers share a run?
 * @throws model.failed, worker.unreachable when a run does not end, or ends its thread
 */
export async function probe(network: Network, sample: ProbeItem | null): Promise<boolean> {
  const item = sample ?? madeUp(network.signature);
  if (item === null) return false;
  try {
    // Twice: the first run allocates.
    await network.runTogether([copied(item)]);
    const [alone] = await network.runTogether([copied(item)]);
    if (alone === undefined || !network.hasBatchAxis) return false;
    const neighbours = Array.from({ length: PROBE_ITEMS - 1 }, () => changed(item));
    const [beside] = await network.runTogether([copied(item), ...neighbours]);
    return beside !== undefined && alone.every((output, index) => isSame(output, beside[index]));
  } catch (error) {
    // A run that hangs is no answer.
    if (error instanceof AppError) throw error;
    // It takes no made-up rows, or no batches: then it takes its callers' rows one call at a time.
    return false;
  }
}

function isSame(a: OnnxTensor, b: OnnxTensor | undefined): boolean {
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
    const data = madeUpData(
      type as OnnxType,
      shape.reduce((count, size) => count * size, 1),
    );
    if (data === null) return null;
    feeds.push({ name, type: type as OnnxType, dims: shape, data });
  }
  return { feeds, outputs: outputs.map(({ name }) => name), rows: 1, length: 0 };
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

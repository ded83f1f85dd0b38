import type { PaddingRule } from '../model-package/network.ts';
import { product } from './batch.ts';
import type { LoadedSignature, OnnxTensor } from './messages.ts';
import { elementsOf } from './run-caller.ts';
import { RunRefusedError } from './run-refused.ts';

/**
 * Which items may share a run of a network. `none`: the result of a row depends on the rows beside it. `equal-lengths`: it
 * depends on padding. `padded`: rows of any lengths, padded to the longest.
 */
export type Batching = 'none' | 'equal-lengths' | 'padded';

/** Size of an item as measured from its feeds: nothing of it is declared by the caller. */
export interface ItemShape {
  readonly rows: number;
  /** Elements of each row along the padded axis; 0 where nothing is padded. */
  readonly length: number;
  /** Elements of all feeds. */
  readonly elements: number;
  /** Cost: rows, or elements where the network's shapes leave more than the batch open. At least 1. */
  readonly units: number;
  /** Items share a run only when their keys are equal; null: the item runs by itself. */
  readonly key: string | null;
  /** Rows are along the first axis of every feed, so that the item can be split between them. */
  readonly isSplittable: boolean;
}

/** Sizes of a network's tensors, from its signature and padding rule. */
export class NetworkShape {
  /** Every tensor begins with a free axis, so that rows can share a run. */
  readonly hasBatchAxis: boolean;
  readonly #signature: LoadedSignature;
  readonly #padding: PaddingRule | null;
  readonly #countsElements: boolean;
  readonly #freeFirst: readonly string[];
  readonly #lengthAxes = new Map<string, readonly number[]>();
  /** Outputs with a free axis of which it is not known whether it has the length. */
  readonly #unexplained = new Set<string>();

  constructor(signature: LoadedSignature, padding: PaddingRule | null) {
    this.#signature = signature;
    this.#padding = padding;
    this.hasBatchAxis = hasBatchAxis(signature);
    this.#countsElements = padding === null && signature.inputs.some((input) => input.dims.slice(1).some(isFree));
    this.#freeFirst = signature.inputs.filter(({ dims }) => dims.length > 0 && isFree(dims[0] ?? 0)).map(({ name }) => name);
    if (padding !== null && padding.outputs !== 'uncut') this.#explainOutputs(padding, padding.outputs);
  }

  /** Axes of an output that have the length of the padded inputs. */
  lengthAxesOf(output: string): readonly number[] {
    return this.#lengthAxes.get(output) ?? [];
  }

  /**
   * Measures an item.
   *
   * @throws RunRefusedError naming an input whose rows or length differ from those of the other padded inputs
   */
  measure(feeds: readonly OnnxTensor[], outputs: readonly string[], batching: Batching): ItemShape {
    const rows = this.#rowsOf(feeds);
    const length = this.#lengthOf(feeds);
    const elements = elementsOf(feeds);
    const units = length > 0 ? rows * length : this.#countsElements ? elements : rows;
    const isSplittable =
      this.hasBatchAxis &&
      batching !== 'none' &&
      rows > 0 &&
      feeds.every(({ dims, data }) => dims[0] === rows && data.length === product(dims));
    const isShared = isSplittable && (this.#padding === null || length > 0);
    const isPadded = isShared && batching === 'padded' && this.#mayBePadded(feeds, outputs, rows);
    const key = isShared ? this.#keyOf(feeds, outputs, isPadded) : null;
    return { rows, length, elements, units: Math.max(1, units), isSplittable, key };
  }

  /** The first axis that the caller chooses; 1 where there is none. */
  #rowsOf(feeds: readonly OnnxTensor[]): number {
    for (const name of this.#freeFirst) {
      const [rows] = feeds.find((feed) => feed.name === name)?.dims ?? [];
      if (rows !== undefined) return rows;
    }
    return 1;
  }

  #lengthOf(feeds: readonly OnnxTensor[]): number {
    const { inputs = new Map<string, { axis: number }>() } = this.#padding ?? {};
    let first: { name: string; rows: number; length: number } | null = null;
    for (const { name, dims } of feeds) {
      const axis = inputs.get(name)?.axis;
      if (axis === undefined) continue;
      const [rows, length] = [dims[0], dims[axis]];
      if (rows === undefined || length === undefined) throw new RunRefusedError(`input ${JSON.stringify(name)} has no axis ${axis}`);
      if (first === null) first = { name, rows, length };
      else if (rows !== first.rows || length !== first.length)
        throw new RunRefusedError(
          `input ${JSON.stringify(name)}: expected ${first.rows} rows of length ${first.length} as in ${JSON.stringify(first.name)}, got ${rows} of ${length}`,
        );
    }
    return first?.length ?? 0;
  }

  #mayBePadded(feeds: readonly OnnxTensor[], outputs: readonly string[], rows: number): boolean {
    if (this.#padding === null || outputs.some((name) => this.#unexplained.has(name))) return false;
    const { mask } = this.#padding;
    if (mask === null) return true;
    const data = feeds.find(({ name }) => name === mask)?.data;
    if (data === undefined || Array.isArray(data)) return false;
    const size = data.length / rows;
    const isOne = (value: number | bigint): boolean => value === 1 || value === 1n;
    for (let row = 0; row < rows; row++) if (!data.subarray(row * size, (row + 1) * size).some(isOne)) return false;
    return true;
  }

  /** Equal for items whose tensors differ in rows, and in lengths that are padded, only. */
  #keyOf(feeds: readonly OnnxTensor[], outputs: readonly string[], isPadded: boolean): string {
    const sizes = feeds.map(({ name, type, dims }) => {
      const axis = isPadded ? this.#padding?.inputs.get(name)?.axis : undefined;
      return [name, type, ...dims.map((size, index) => (index === 0 || index === axis ? '' : size))];
    });
    return JSON.stringify([outputs, sizes]);
  }

  #explainOutputs({ inputs }: PaddingRule, rule: { readonly rank: number; readonly axis: number }): void {
    const names = new Set(this.#signature.inputs.map(({ name, dims }) => dims[inputs.get(name)?.axis ?? -1]));
    for (const { name, dims } of this.#signature.outputs) {
      const free = [...dims.keys()].filter((axis) => axis > 0 && isFree(dims[axis] ?? 0));
      const isLength = (axis: number): boolean =>
        (typeof dims[axis] === 'string' && dims[axis] !== '' && names.has(dims[axis])) || (dims.length === rule.rank && axis === rule.axis);
      this.#lengthAxes.set(name, free.filter(isLength));
      // ONNX Runtime gives [] for a shape that the model leaves open.
      if (dims.length === 0 || !free.every(isLength)) this.#unexplained.add(name);
    }
  }
}

function hasBatchAxis({ inputs, outputs }: LoadedSignature): boolean {
  const first = inputs[0]?.dims[0];
  return (
    inputs.length > 0 &&
    [...inputs, ...outputs].every(({ dims }) => dims.length > 0 && isFree(dims[0] ?? 0)) &&
    // Inputs whose first axes have different names grow independently of each other.
    inputs.every(({ dims }) => typeof dims[0] !== 'string' || typeof first !== 'string' || dims[0] === first)
  );
}

function isFree(size: number | string): boolean {
  return typeof size === 'string' || size < 1;
}

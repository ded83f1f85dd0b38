import type { ItemShape, NetworkShape } from './network-shape.ts';
import type { OnnxTensor } from './messages.ts';
import { RunRefusedError } from './run-refused.ts';

/** Bounds of what one run and one call may take. */
export interface RunBounds {
  /** Most memory that a run of several rows may be expected to take, in bytes. */
  readonly runBytes: number;
  /** Most elements in the outputs of an item of several rows. */
  readonly maxOutputElements: number;
  /** Most chunks that an item may be cut into: as many as items may wait. */
  readonly queueLength: number;
}

/** Memory and output size of a run by its size, as measured by the probe of the network. */
export class RunMemory {
  readonly #shape: NetworkShape;
  /** Elements of each output for each row, and for each element of its axes of the length. */
  readonly #elements = new Map<string, number>();
  #bytesPerUnit = 0;
  #length = 0;

  constructor(shape: NetworkShape) {
    this.#shape = shape;
  }

  /** Takes in the outputs of a run. */
  observeOutputs(outputs: readonly OnnxTensor[], { rows, length }: Pick<ItemShape, 'rows' | 'length'>): void {
    for (const { name, data } of outputs) {
      const elements = data.length / Math.max(1, rows * this.#lengthOf(name, length));
      this.#elements.set(name, Math.max(elements, this.#elements.get(name) ?? 0));
    }
  }

  /** @param bytes by which the memory of the process grew with a run that was `units` larger than all before it */
  observeGrowth(bytes: number, units: number, { length }: Pick<ItemShape, 'length'>): void {
    this.#bytesPerUnit = Math.max(0, bytes) / Math.max(1, units);
    this.#length = length;
  }

  /**
   * One row is never refused: the network determines its size.
   *
   * @throws RunRefusedError naming the tensor, what its run is expected to take, and what is allowed
   */
  assertWithin(
    { runBytes, maxOutputElements, queueLength }: RunBounds,
    { feeds, outputs }: { readonly feeds: readonly OnnxTensor[]; readonly outputs: readonly string[] },
    shape: ItemShape,
    chunkRows: number,
  ): void {
    if (shape.rows <= 1) return;
    const assertAllowed = (what: string, expected: number, allowed: number): void => {
      if (expected <= allowed) return;
      const [feed] = feeds;
      const rows = Math.max(1, Math.floor((shape.rows * allowed) / expected));
      throw new RunRefusedError(
        `input ${JSON.stringify(feed?.name)} of shape [${feed?.dims.join(', ')}] needs about ${Math.ceil(expected)} ${what}, at most ${Math.floor(allowed)} are allowed: send at most ${rows} rows in a call`,
      );
    };
    assertAllowed('elements in the outputs', this.outputElementsOf(outputs, shape), maxOutputElements);
    if (shape.isSplittable) assertAllowed('runs', shape.rows / chunkRows, queueLength);
    else assertAllowed('bytes of memory', this.bytesOf(shape), runBytes);
  }

  /** Memory that a run is expected to take, in bytes. Attention grows with the square of the length. */
  bytesOf({ units, length }: Pick<ItemShape, 'units' | 'length'>): number {
    return units * this.#bytesPerUnit * (this.#length === 0 ? 1 : Math.max(1, length / this.#length));
  }

  /** Elements that the outputs of an item are expected to have together. */
  outputElementsOf(outputs: readonly string[], { rows, length }: Pick<ItemShape, 'rows' | 'length'>): number {
    return outputs.reduce((sum, name) => sum + (this.#elements.get(name) ?? 0) * rows * this.#lengthOf(name, length), 0);
  }

  #lengthOf(output: string, length: number): number {
    return length === 0 ? 1 : length ** this.#shape.lengthAxesOf(output).length;
  }
}

import type { WaitingItem } from './waiting-item.ts';

/** Items that are looked through for company: beyond, finding it would cost more than it saves. */
const MAX_LOOKED_AT = 512;
/** Most padding that a batch may hold. */
const MAX_WASTE = 0.1;

/** How large a batch may get. */
export interface BatchLimit {
  /** In the network's units: rows, or padded elements. */
  readonly units: number;
  readonly rows: number;
  /** Padding that an item may bring into a batch, in elements: what more would cost, a run of its own would cost less. */
  readonly paddingUnits: number;
}

/** What waits for one network: interactive work first, then in the order of arrival. Bounded by whoever adds. */
export class BatchQueue {
  readonly #interactive = new Set<WaitingItem>();
  readonly #batch = new Set<WaitingItem>();
  #units = 0;

  get size(): number {
    return this.#interactive.size + this.#batch.size;
  }

  /** What all that waits costs together. */
  get units(): number {
    return this.#units;
  }

  get hasInteractive(): boolean {
    return this.#interactive.size > 0;
  }

  add(item: WaitingItem): void {
    this.#of(item).add(item);
    this.#units += item.units;
  }

  /** Is false when the item does not wait any more. */
  remove(item: WaitingItem): boolean {
    if (!this.#of(item).delete(item)) return false;
    this.#units -= item.units;
    return true;
  }

  drain(): WaitingItem[] {
    const all = [...this.#interactive, ...this.#batch];
    this.#interactive.clear();
    this.#batch.clear();
    this.#units = 0;
    return all;
  }

  /** The first item that waits, without taking it. */
  first(): WaitingItem | undefined {
    for (const item of this.#interactive) return item;
    for (const item of this.#batch) return item;
    return undefined;
  }

  /**
   * Takes the first item and others that fit into its run: with the same key, of nearly the same length, together
   * within the limit. At least one is taken while any waits.
   */
  take(limit: BatchLimit): WaitingItem[] {
    const first = this.first();
    if (first === undefined) return [];
    this.remove(first);
    if (first.key === null || first.rows >= limit.rows || first.units >= limit.units) return [first];
    const candidates = this.#company(first);
    // Nearest in length first, so that little is padded; the sort is stable, so equal lengths keep the order of arrival.
    if (first.length > 0) candidates.sort((a, b) => Math.abs(a.length - first.length) - Math.abs(b.length - first.length));
    const taken = [first];
    let { rows, length: longest } = first;
    let elements = first.rows * first.length;
    let units = first.units;
    for (const candidate of candidates) {
      const allRows = rows + candidate.rows;
      if (allRows > limit.rows) continue;
      if (first.length === 0) {
        if (units + candidate.units > limit.units) continue;
      } else {
        const allLongest = Math.max(longest, candidate.length);
        const allElements = elements + candidate.rows * candidate.length;
        const allUnits = allRows * allLongest;
        if (allUnits > limit.units || 1 - allElements / allUnits > MAX_WASTE) continue;
        if (allUnits - rows * longest - candidate.units > limit.paddingUnits) continue;
        longest = allLongest;
        elements = allElements;
      }
      rows = allRows;
      units += candidate.units;
      taken.push(candidate);
      this.remove(candidate);
      if (rows === limit.rows) break;
    }
    return taken;
  }

  #company(first: WaitingItem): WaitingItem[] {
    const found: WaitingItem[] = [];
    let looked = 0;
    for (const set of [this.#interactive, this.#batch]) {
      for (const item of set) {
        if (++looked > MAX_LOOKED_AT) return found;
        if (item.key === first.key) found.push(item);
      }
    }
    return found;
  }

  #of(item: WaitingItem): Set<WaitingItem> {
    return item.priority === 'interactive' ? this.#interactive : this.#batch;
  }
}

/**
 * Waiting entries of several keys, each key with a bound of its own. `take` goes round the keys,
 * so that a key with many entries does not hold up the others; within a key, first come first served.
 */
export class FairQueue<T> {
  readonly #maxPerKey: number;
  readonly #waiting = new Map<string, Set<T>>();
  #size = 0;

  constructor(maxPerKey: number) {
    this.#maxPerKey = maxPerKey;
  }

  /** Entries of all keys. */
  get size(): number {
    return this.#size;
  }

  lengthOf(key: string): number {
    return this.#waiting.get(key)?.size ?? 0;
  }

  /** @returns false, and adds nothing, when the key has as many entries as it may have */
  add(key: string, entry: T): boolean {
    const entries = this.#waiting.get(key) ?? new Set<T>();
    if (entries.size >= this.#maxPerKey) return false;
    entries.add(entry);
    this.#waiting.set(key, entries);
    this.#size++;
    return true;
  }

  /** Takes an entry out of its place; does nothing when it is not waiting any more. */
  remove(key: string, entry: T): void {
    const entries = this.#waiting.get(key);
    if (entries === undefined || !entries.delete(entry)) return;
    this.#size--;
    if (entries.size === 0) this.#waiting.delete(key);
  }

  /** The next entry, or undefined when none waits. */
  take(): T | undefined {
    for (const [key, entries] of this.#waiting) {
      for (const entry of entries) {
        this.remove(key, entry);
        // To the end of the round.
        if (this.#waiting.delete(key)) this.#waiting.set(key, entries);
        return entry;
      }
    }
    return undefined;
  }

  /** Takes out all entries of a key. */
  drain(key: string): T[] {
    const entries = [...(this.#waiting.get(key) ?? [])];
    this.#waiting.delete(key);
    this.#size -= entries.length;
    return entries;
  }
}

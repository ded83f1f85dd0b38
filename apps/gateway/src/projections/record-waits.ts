/** Waits for records by key. Nothing is held for a key that nothing waits for. */
export class RecordWaits<T> {
  readonly #waiting = new Map<string, Set<(record: T | undefined) => void>>();

  /** Ends the waits for the key. */
  arrived(key: string, record: T): void {
    for (const resolve of this.#waiting.get(key) ?? []) resolve(record);
  }

  /** The next record of the key; undefined after `timeoutMs` without one. */
  async next(key: string, timeoutMs: number): Promise<T | undefined> {
    const { promise, resolve } = Promise.withResolvers<T | undefined>();
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting.add(resolve));
    const timer = setTimeout(resolve, timeoutMs, undefined);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(key);
    }
  }
}

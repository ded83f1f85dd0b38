import type { ApiKeyState } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { LRUCache } from 'lru-cache';
import type { Projections } from '../projections/projections.ts';

/** Longest wait for the record of a key, in milliseconds: on Kafka it follows the key's creation within a second. */
export const NEW_KEY_WAIT_MS = 2_000;
/** Requests that wait at once, in all and from one address; beyond, an unknown key is refused at once. */
const MAX_WAITS = 256;
const MAX_WAITS_OF_ADDRESS = 8;
/** For this long, in milliseconds, a key that had no record after its wait is refused without another. */
const UNKNOWN_KEY_TTL_MS = 10_000;
const MAX_UNKNOWN_KEYS = 10_000;

/**
 * Lets the first request of a key that was created a moment ago wait until its record has reached this gateway. Bounded, so
 * that made-up keys, which cost nothing to make, cannot hold more than a few requests.
 */
export class NewKeyWaits {
  readonly #directory: Pick<Projections, 'whenApiKey'>;
  readonly #unknown: LRUCache<string, true>;
  readonly #waitsOf = new Map<string, number>();
  #waits = 0;

  constructor(directory: Pick<Projections, 'whenApiKey'>, clock: Clock) {
    this.#directory = directory;
    this.#unknown = new LRUCache({ max: MAX_UNKNOWN_KEYS, ttl: UNKNOWN_KEY_TTL_MS, ttlResolution: 0, perf: { now: () => clock.now() } });
  }

  /**
   * @param digest  of a well-formed key that has no record
   * @param address network address of the request
   * @returns the key's record; undefined when none arrived in time, or when too many requests wait
   */
  async wait(digest: string, address: string): Promise<ApiKeyState | undefined> {
    const waitsOfAddress = this.#waitsOf.get(address) ?? 0;
    if (this.#unknown.has(digest) || this.#waits >= MAX_WAITS || waitsOfAddress >= MAX_WAITS_OF_ADDRESS) return undefined;
    this.#waits++;
    this.#waitsOf.set(address, waitsOfAddress + 1);
    try {
      const state = await this.#directory.whenApiKey(digest, NEW_KEY_WAIT_MS);
      if (state === undefined) this.#unknown.set(digest, true);
      return state;
    } finally {
      this.#waits--;
      const rest = (this.#waitsOf.get(address) ?? 1) - 1;
      if (rest > 0) this.#waitsOf.set(address, rest);
      else this.#waitsOf.delete(address);
    }
  }
}

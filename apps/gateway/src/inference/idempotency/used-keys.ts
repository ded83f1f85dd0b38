import { AppError, type Clock } from '@weir/kernel';
import { KEY_LIFE_MS } from './idempotency-key.ts';

/** Share of all keys that one tenant may have in use, so that none leaves the others without. */
const SHARE_OF_A_TENANT = 1 / 4;
/** Wait that is advised to a tenant that has used its keys: some of them expire every minute. */
const TOO_MANY_RETRY_MS = 60_000;

/** An idempotency key whose call was executed. */
export interface UsedKey {
  readonly callDigest: string;
  /** Of the execution. */
  readonly receiptId: string;
  readonly tenantId: string;
  readonly expiresAtMs: number;
}

/**
 * Idempotency keys whose call was executed, for 24 hours, whether or not the answer is stored: a key is never executed twice under
 * one receipt, which the ledger would count once. So a key is not forgotten to make room for another; when the room is
 * used up, new keys are refused. Some 270 bytes of memory a key.
 */
export class UsedKeys {
  readonly #clock: Clock;
  readonly #maxKeys: number;
  /** In the order of their executions. */
  readonly #keys = new Map<string, UsedKey>();
  readonly #countOf = new Map<string, number>();

  constructor(clock: Clock, maxKeys: number) {
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  find(keyDigest: string): UsedKey | undefined {
    const key = this.#keys.get(keyDigest);
    return key !== undefined && key.expiresAtMs > this.#clock.now() ? key : undefined;
  }

  /** @throws idempotency.too_many_keys the tenant has used its share of keys, or all tenants together have used all */
  assertRoom(tenantId: string): void {
    if (this.#keys.size < this.#maxKeys && (this.#countOf.get(tenantId) ?? 0) < this.#maxKeys * SHARE_OF_A_TENANT) return;
    this.sweep();
    if (this.#keys.size >= this.#maxKeys || (this.#countOf.get(tenantId) ?? 0) >= this.#maxKeys * SHARE_OF_A_TENANT)
      throw new AppError('idempotency.too_many_keys', { retryAfterMs: TOO_MANY_RETRY_MS });
  }

  /** Remembers an execution; the last one under a key counts. */
  add(
    keyDigest: string,
    { usedAtMs, ...key }: Pick<UsedKey, 'callDigest' | 'receiptId' | 'tenantId'> & { readonly usedAtMs: number },
  ): void {
    this.#remove(keyDigest);
    this.#keys.set(keyDigest, { ...key, expiresAtMs: usedAtMs + KEY_LIFE_MS });
    this.#countOf.set(key.tenantId, (this.#countOf.get(key.tenantId) ?? 0) + 1);
  }

  /** Forgets the keys that have expired. */
  sweep(): void {
    const now = this.#clock.now();
    for (const [keyDigest, { expiresAtMs }] of this.#keys) {
      if (expiresAtMs > now) return;
      this.#remove(keyDigest);
    }
  }

  #remove(keyDigest: string): void {
    const key = this.#keys.get(keyDigest);
    if (key === undefined) return;
    this.#keys.delete(keyDigest);
    const rest = (this.#countOf.get(key.tenantId) ?? 1) - 1;
    if (rest > 0) this.#countOf.set(key.tenantId, rest);
    else this.#countOf.delete(key.tenantId);
  }
}

/** Entries below which idle tenants are not looked for. */
const MIN_SWEPT = 64;

/**
 * Virtual time of start-time fair queueing (Goyal, Vin, Cheng 1996), in milliseconds of processor time: each tenant's clock
 * advances by what its runs cost, whichever network they use, and the tenant whose clock is behind runs next. The clock of an
 * idle tenant follows that of the system, so that idle time is not saved up. One per process.
 */
export class TenantClock {
  readonly #finishMs = new Map<string, number>();
  #nowMs = 0;
  #sweepAt = MIN_SWEPT;

  /** Tenants of which something is kept: those whose clock is ahead of the system's. */
  get size(): number {
    return this.#finishMs.size;
  }

  /** Start tag of the tenant's next run. */
  startOf(tenantId: string): number {
    return Math.max(this.#nowMs, this.#finishMs.get(tenantId) ?? 0);
  }

  /** Advances the system's clock to the start tag of the tenant whose turn it is. */
  began(tenantId: string): void {
    this.#nowMs = this.startOf(tenantId);
    if (this.#finishMs.size < this.#sweepAt) return;
    for (const [id, finishMs] of this.#finishMs) if (finishMs <= this.#nowMs) this.#finishMs.delete(id);
    this.#sweepAt = Math.max(MIN_SWEPT, 2 * this.#finishMs.size);
  }

  /** @param ms processor time; negative corrects an estimate that was too high */
  charge(tenantId: string, ms: number): void {
    this.#finishMs.set(tenantId, this.startOf(tenantId) + ms);
  }

  /** Nothing waits or runs: all tenants are equal again. */
  reset(): void {
    this.#finishMs.clear();
    this.#sweepAt = MIN_SWEPT;
  }
}

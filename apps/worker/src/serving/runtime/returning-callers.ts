/** Part of what a run costs by itself for which it is worth to hold the next one back. */
const WORTH = 0.5;
/** Timers are as exact as this: what would be held back for less is not. */
const SHORTEST_MS = 1;
const LONGEST_MS = 4;
/** How fast what was seen of earlier runs loses its weight. */
const FORGETTING = 0.9;
/** Holding back pays when at least this part of the callers comes again in time. */
const ENOUGH = 0.5;

/**
 * Callers who send their next call when they have the answer to the last one come again right after a run, all at once. Where a
 * run costs much by itself, the next one waits a moment for them: who would start without them would make them wait for a
 * whole run. Who comes while nothing runs or has just run never waits.
 */
export class ReturningCallers {
  #endedAtMs = -Infinity;
  #windowMs = 0;
  #answered = 0;
  #cameBack = 0;
  /** Part of the answered items that came again in time, of late. */
  #returning = 1;
  /** Items that were run or waited when the last run ended; 0 when nobody is waited for. */
  #expected = 0;

  /**
   * A run has ended.
   *
   * @param items that it held
   * @param waiting items that wait for the next one
   * @param perRunMs what a run costs by itself
   * @returns milliseconds after which `giveUp` is to be called; 0: nobody is waited for
   */
  ended(items: number, waiting: number, perRunMs: number, nowMs: number): number {
    if (this.#windowMs > 0) {
      const part = Math.min(1, this.#cameBack / this.#answered);
      this.#returning = this.#returning * FORGETTING + part * (1 - FORGETTING);
    }
    const windowMs = Math.floor(Math.min(LONGEST_MS, perRunMs * WORTH));
    this.#windowMs = windowMs < SHORTEST_MS ? 0 : windowMs;
    this.#endedAtMs = nowMs;
    this.#answered = items;
    this.#cameBack = 0;
    const isWorth = this.#windowMs > 0 && this.#returning >= ENOUGH;
    this.#expected = isWorth ? items + waiting : 0;
    return isWorth ? this.#windowMs : 0;
  }

  arrived(nowMs: number): void {
    if (nowMs - this.#endedAtMs <= this.#windowMs) this.#cameBack++;
  }

  /** Should the next run be held back while so many items wait for it? */
  areAwaited(waiting: number): boolean {
    return waiting < this.#expected;
  }

  giveUp(): void {
    this.#expected = 0;
  }
}

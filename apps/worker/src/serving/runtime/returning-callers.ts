/** Part of what a run costs by itself for which the next one is held back, as far as timers are exact. */
const WORTH = 0.5;
/** A run that costs less by itself is not worth the wait. */
const LEAST_WORTH_MS = 0.05;
/** Timers are as exact as this. Where all come again the wait ends with the last of them, long before. */
const SHORTEST_MS = 1;
const LONGEST_MS = 4;
/** How fast what was seen of earlier runs loses its weight. */
const FORGETTING = 0.9;
/** Holding back pays when at least this part of the callers comes again in time. */
const ENOUGH = 0.5;

/**
 * Callers who send their next call when they have the answer to the last one come again right after a run, all at once. The
 * next run waits a moment for them: who would start without them would make them wait for a whole run. Who comes while
 * nothing runs or has just run never waits.
 */
export class ReturningCallers {
  /** When the answers of the last run were out; infinite until they are. */
  #answeredAtMs = -Infinity;
  #windowMs = 0;
  #answered = 0;
  #cameBack = 0;
  /** Part of the answered items that came again in time, of late. */
  #returning = 1;
  /** Items that were run or waited when the last run ended; 0 when nobody is waited for. */
  #expected = 0;

  /**
   * A run has ended, and its answers are about to be sent.
   *
   * @param items that it held
   * @param waiting items that wait for the next one
   * @param perRunMs what a run costs by itself
   * @returns milliseconds after the answers at which `giveUp` is to be called; 0: nobody is waited for
   */
  ended(items: number, waiting: number, perRunMs: number): number {
    if (this.#windowMs > 0) {
      const part = Math.min(1, this.#cameBack / this.#answered);
      this.#returning = this.#returning * FORGETTING + part * (1 - FORGETTING);
    }
    this.#windowMs = perRunMs < LEAST_WORTH_MS ? 0 : Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Math.round(perRunMs * WORTH)));
    this.#answeredAtMs = Infinity;
    this.#answered = items;
    this.#cameBack = 0;
    const isWorth = this.#windowMs > 0 && this.#returning >= ENOUGH;
    this.#expected = isWorth ? items + waiting : 0;
    return isWorth ? this.#windowMs : 0;
  }

  /** The answers of the last run are out: who comes again has had them. */
  answered(nowMs: number): void {
    this.#answeredAtMs = nowMs;
  }

  arrived(nowMs: number): void {
    if (nowMs - this.#answeredAtMs <= this.#windowMs) this.#cameBack++;
  }

  /** Should the next run be held back while so many items wait for it? */
  areAwaited(waiting: number): boolean {
    return waiting < this.#expected;
  }

  giveUp(): void {
    this.#expected = 0;
  }
}

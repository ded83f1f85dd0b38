const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** A process that lived this long before it died starts again with the first delay. */
const STEADY_AFTER_MS = 60_000;
/** A death before this age is a fast one: the process probably cannot run at all. */
const FAST_DEATH_MS = 10_000;
const FAST_DEATHS_ALLOWED = 5;
const FAST_DEATHS_WINDOW_MS = 60_000;

export type RestartVerdict = { readonly kind: 'restart'; readonly delayMs: number } | { readonly kind: 'give-up'; readonly deaths: number };

/**
 * Decides what follows a death: a restart after 0.5 s, doubling to 15 s; after five fast deaths within a minute, the end.
 */
export class RestartPolicy {
  #delayMs = FIRST_DELAY_MS;
  #fastDeaths: number[] = [];

  /** @param nowMs time of the death @param ageMs how long the process had lived */
  afterDeath(nowMs: number, ageMs: number): RestartVerdict {
    if (ageMs >= STEADY_AFTER_MS) this.#delayMs = FIRST_DELAY_MS;
    if (ageMs < FAST_DEATH_MS) {
      this.#fastDeaths = [...this.#fastDeaths.filter((at) => nowMs - at < FAST_DEATHS_WINDOW_MS), nowMs];
      if (this.#fastDeaths.length >= FAST_DEATHS_ALLOWED) return { kind: 'give-up', deaths: this.#fastDeaths.length };
    }
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    return { kind: 'restart', delayMs };
  }
}

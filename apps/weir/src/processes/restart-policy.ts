const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** A process that lived this long before it died starts again with the first delay. */
const STEADY_AFTER_MS = 60_000;
/** A death before this age is a fast one: the process probably cannot run at all. */
const FAST_DEATH_MS = 10_000;
const FAST_DEATHS_WINDOW_MS = 60_000;

export interface RestartVerdict {
  /** Delay of the restart: 0.5 s, doubled with each death up to 30 s. */
  readonly delayMs: number;
  /** Deaths within the last minute of processes that were younger than 10 s, this one included. */
  readonly fastDeaths: number;
}

/** Decides how long to wait before a process that died is started again, with exponential back-off and without an end. */
export class RestartPolicy {
  #delayMs = FIRST_DELAY_MS;
  #fastDeaths: number[] = [];

  /** @param nowMs time of the death @param ageMs how long the process had lived */
  afterDeath(nowMs: number, ageMs: number): RestartVerdict {
    if (ageMs >= STEADY_AFTER_MS) this.#delayMs = FIRST_DELAY_MS;
    if (ageMs < FAST_DEATH_MS) this.#fastDeaths = [...this.#fastDeaths.filter((at) => nowMs - at < FAST_DEATHS_WINDOW_MS), nowMs];
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    return { delayMs, fastDeaths: this.#fastDeaths.length };
  }
}

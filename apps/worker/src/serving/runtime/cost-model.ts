/** How fast old measurements lose their weight: about the last 50 runs count. */
const FORGETTING = 0.98;
/** A run that took this many times what was expected says more of the machine than of the model. */
const OUTLIER = 4;
/** A batch is large enough when this part of its time is spent on the items and not on the run itself. */
const EFFICIENCY = 0.9;
/** No batch is larger than this many times the largest one that was measured: a line is trusted near its points only. */
const GROWTH = 2;

/**
 * What a run costs by its size, learned from measured runs: `ms = perUnit · units + perRun`, by least squares with
 * exponentially fading weights. A unit is a row, or an element of the padded axis (a token).
 */
export class CostModel {
  #weight = 0;
  #units = 0;
  #ms = 0;
  #unitsSquared = 0;
  #unitsMs = 0;
  #largest = 0;

  /** Takes in a measured run. */
  observe(units: number, ms: number): void {
    const expected = this.expectMs(units);
    const seen = expected !== null && this.#weight > 5 ? Math.min(ms, expected * OUTLIER) : ms;
    this.#weight = this.#weight * FORGETTING + 1;
    this.#units = this.#units * FORGETTING + units;
    this.#ms = this.#ms * FORGETTING + seen;
    this.#unitsSquared = this.#unitsSquared * FORGETTING + units * units;
    this.#unitsMs = this.#unitsMs * FORGETTING + units * seen;
    this.#largest = Math.max(this.#largest, units);
  }

  get isKnown(): boolean {
    return this.#weight > 0;
  }

  /** Milliseconds that a run of this size is expected to take; null before anything was measured. */
  expectMs(units: number): number | null {
    if (this.#weight === 0) return null;
    const { perUnit, perRun } = this.line();
    return perUnit * units + perRun;
  }

  /** The fitted line, in milliseconds; never falling, never below zero. */
  line(): { readonly perUnit: number; readonly perRun: number } {
    const meanUnits = this.#units / this.#weight;
    const meanMs = this.#ms / this.#weight;
    const variance = this.#unitsSquared / this.#weight - meanUnits * meanUnits;
    // Runs of one size tell no slope: then all of the time is taken to be the items'.
    if (!(variance > 1e-6 * meanUnits * meanUnits)) return { perUnit: meanMs / meanUnits, perRun: 0 };
    const slope = (this.#unitsMs / this.#weight - meanUnits * meanMs) / variance;
    const perUnit = Math.min(Math.max(slope, 0), meanMs / meanUnits);
    return { perUnit, perRun: meanMs - perUnit * meanUnits };
  }

  /**
   * Units up to which it pays to fill a batch: where the fixed part of a run has become small against the rest, but
   * no run that is expected to take longer than `longestMs`. At least 1.
   */
  batchUnits(longestMs: number): number {
    if (this.#weight === 0) return 1;
    const { perUnit, perRun } = this.line();
    if (perUnit === 0) return this.#largest * GROWTH;
    const saturated = (perRun / perUnit) * (EFFICIENCY / (1 - EFFICIENCY));
    const inTime = (longestMs - perRun) / perUnit;
    return Math.max(1, Math.min(saturated, inTime, this.#largest * GROWTH));
  }
}

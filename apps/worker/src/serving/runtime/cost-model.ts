/** Runs of about one size that are remembered: the middle one of them counts, so that what the machine held up does not. */
const REMEMBERED = 9;
/** A size that has not been run for so many runs is forgotten: the machine may have become another one since. */
const FORGOTTEN_AFTER = 500;
/** A batch is large enough when this part of its time is spent on the items and not on the run itself. */
const EFFICIENCY = 0.95;
/** No batch is larger than this many times the largest one that was measured: a line is trusted near its points only. */
const GROWTH = 2;
/** Where one unit takes longer than a run should, a batch takes at most this many times as long. */
const STRETCH = 2;
/** Once in so many runs a batch may be twice as large: who runs single rows only never learns what company would save. */
const TRIED_EVERY = 64;

/** Clocks tell no less. */
const LEAST_MS = 0.001;

interface Measured {
  readonly units: number;
  readonly ms: number;
}

/** Runs of sizes that are within a factor of two of each other. */
interface Size {
  /** The last ones, in the order in which they came. */
  readonly runs: Measured[];
  /** The run in the middle by its time for each unit. */
  middle: Measured;
  seenAtRun: number;
}

interface Line {
  readonly perUnit: number;
  readonly perRun: number;
}

/**
 * What a run costs by its size, learned from measured runs: `ms = perUnit · units + perRun`, the line with the least squares of
 * relative errors through the middle run of each size. A unit is a row, or an element of the padded axis (a token).
 */
export class CostModel {
  readonly #sizes = new Map<number, Size>();
  #runs = 0;
  #largest = 0;
  #line: Line = { perUnit: 0, perRun: 0 };

  /** Takes in a measured run. */
  observe(units: number, ms: number): void {
    const run = { units: Math.max(1, units), ms: Math.max(LEAST_MS, ms) };
    this.#runs++;
    this.#largest = Math.max(this.#largest, run.units);
    const key = Math.ceil(Math.log2(run.units));
    const size = this.#sizes.get(key);
    if (size === undefined) this.#sizes.set(key, { runs: [run], middle: run, seenAtRun: this.#runs });
    else {
      size.runs.push(run);
      if (size.runs.length > REMEMBERED) size.runs.shift();
      size.middle = middleOf(size.runs);
      size.seenAtRun = this.#runs;
    }
    this.#line = this.#fitted();
  }

  /** Milliseconds that a run of this size is expected to take; null before anything was measured. */
  expectMs(units: number): number | null {
    return this.#runs > 0 ? this.#line.perUnit * units + this.#line.perRun : null;
  }

  /** The fitted line, in milliseconds; never falling, never below zero. */
  line(): Line {
    return this.#line;
  }

  /**
   * Units up to which it pays to fill a batch: where the fixed part of a run has become small against the rest, but
   * no run that is expected to take longer than `longestMs` (where a single unit takes that long: than twice as long as
   * it). At least 1; now and then more, to learn.
   */
  batchUnits(longestMs: number): number {
    if (this.#runs === 0) return 1;
    const { perUnit, perRun } = this.#line;
    if (perUnit === 0) return this.#largest * GROWTH;
    const saturated = (perRun / perUnit) * (EFFICIENCY / (1 - EFFICIENCY));
    const tried = this.#runs % TRIED_EVERY === 0 ? Math.max(1, saturated) * GROWTH : saturated;
    return Math.max(1, Math.min(tried, this.unitsWithin(longestMs), this.#largest * GROWTH));
  }

  /** Units of a run that is expected to take no longer than this; where a single unit does, than twice as long as that. */
  unitsWithin(longestMs: number): number {
    const { perUnit, perRun } = this.#line;
    return perUnit === 0 ? Infinity : (Math.max(longestMs, (perRun + perUnit) * STRETCH) - perRun) / perUnit;
  }

  #fitted(): Line {
    let weights = 0;
    let meanUnits = 0;
    let meanMs = 0;
    for (const [key, { middle, seenAtRun, runs }] of this.#sizes) {
      if (this.#runs - seenAtRun > FORGOTTEN_AFTER) {
        this.#sizes.delete(key);
        continue;
      }
      const weight = runs.length / middle.ms ** 2;
      weights += weight;
      meanUnits += middle.units * weight;
      meanMs += middle.ms * weight;
    }
    meanUnits /= weights;
    meanMs /= weights;
    // Runs of one size tell no slope: then all of the time is taken to be the items'.
    if (this.#sizes.size < 2) return { perUnit: meanMs / meanUnits, perRun: 0 };
    let covariance = 0;
    let variance = 0;
    for (const { middle, runs } of this.#sizes.values()) {
      const weight = runs.length / middle.ms ** 2;
      covariance += weight * (middle.units - meanUnits) * (middle.ms - meanMs);
      variance += weight * (middle.units - meanUnits) ** 2;
    }
    const perUnit = Math.min(Math.max(covariance / variance, 0), meanMs / meanUnits);
    return { perUnit, perRun: meanMs - perUnit * meanUnits };
  }
}

function middleOf(runs: readonly Measured[]): Measured {
  const sorted = runs.toSorted((a, b) => a.ms / a.units - b.ms / b.units);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? { units: 1, ms: 0 };
}

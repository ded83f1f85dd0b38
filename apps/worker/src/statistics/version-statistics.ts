import type { NetworkObserver, RejectionReason } from '../serving/runtime/network.ts';
import type { MeasuredVersion, ServingMetrics, VersionSeries } from './serving-metrics.ts';

/** A count and the time that went with it, as Triton's statistics extension has them. */
export interface DurationStatistic {
  readonly count: number;
  /** Nanoseconds. */
  readonly ns: number;
}

/** What a version has done since it was placed here. */
export interface VersionStatisticsReport {
  /** Milliseconds since 1970; 0 before the first call. */
  readonly lastInferenceMs: number;
  /** Rows that were run. */
  readonly inferenceCount: number;
  /** Runs, each of one batch or more rows. */
  readonly executionCount: number;
  readonly success: DurationStatistic;
  readonly fail: DurationStatistic;
  readonly queue: DurationStatistic;
  readonly compute: DurationStatistic;
  /** By rows in the run. */
  readonly batches: ReadonlyMap<number, DurationStatistic>;
}

interface Mutable {
  count: number;
  ns: number;
}

const NS_PER_SECOND = 1e9;

/** Counts what happens to a version, for the protocol's statistics and for the metrics at once. */
export class VersionStatistics implements NetworkObserver {
  readonly #series: VersionSeries;
  readonly #success: Mutable = { count: 0, ns: 0 };
  readonly #fail: Mutable = { count: 0, ns: 0 };
  readonly #queue: Mutable = { count: 0, ns: 0 };
  readonly #compute: Mutable = { count: 0, ns: 0 };
  readonly #batches = new Map<number, Mutable>();
  #rows = 0;
  #runs = 0;
  #lastInferenceMs = 0;

  constructor(metrics: ServingMetrics, version: MeasuredVersion) {
    this.#series = metrics.seriesOf(version);
  }

  waited(seconds: number): void {
    add(this.#queue, seconds);
    this.#series.queue.observe(seconds);
  }

  ran({ seconds, rows, paddingWaste, isOk }: Parameters<NetworkObserver['ran']>[0]): void {
    this.#rows += rows;
    this.#runs++;
    add(this.#compute, seconds);
    let batch = this.#batches.get(rows);
    if (batch === undefined) this.#batches.set(rows, (batch = { count: 0, ns: 0 }));
    add(batch, seconds);
    this.#series.run.observe(seconds);
    this.#series.batch.observe(rows);
    if (paddingWaste > 0) this.#series.padding.inc(paddingWaste * rows);
    if (!isOk) this.#series.failedRuns.inc();
  }

  rejected(reason: RejectionReason): void {
    this.#series.rejections[reason].inc();
  }

  /** A call was answered, or failed, after this time in the process. */
  answered(seconds: number, isOk: boolean): void {
    this.#lastInferenceMs = Date.now();
    add(isOk ? this.#success : this.#fail, seconds);
  }

  report(): VersionStatisticsReport {
    return {
      lastInferenceMs: this.#lastInferenceMs,
      inferenceCount: this.#rows,
      executionCount: this.#runs,
      success: this.#success,
      fail: this.#fail,
      queue: this.#queue,
      compute: this.#compute,
      batches: this.#batches,
    };
  }
}

function add(statistic: Mutable, seconds: number): void {
  statistic.count++;
  statistic.ns += Math.round(seconds * NS_PER_SECOND);
}

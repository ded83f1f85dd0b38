import { Counter, Gauge, Histogram, LATENCY_BUCKETS_SECONDS, type Registry } from '@weir/platform/telemetry';
import type { RejectionReason } from '../serving/runtime/network.ts';

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** What is counted of one version. Looking a series up by its labels costs more than counting in it, so it is done once. */
export interface VersionSeries {
  readonly queue: { observe(seconds: number): void };
  readonly run: { observe(seconds: number): void };
  readonly batch: { observe(rows: number): void };
  readonly padding: { inc(rows: number): void };
  readonly failedRuns: { inc(): void };
  readonly rejections: Readonly<Record<RejectionReason, { inc(): void }>>;
}

/** A version as metrics know it. */
export interface MeasuredVersion {
  readonly versionId: string;
  /** Public name of the model. */
  readonly model: string;
  readonly version: string;
}

/** The state of a version that is read when the metrics are asked for. */
export interface VersionGauges extends MeasuredVersion {
  readonly queueLength: number;
  readonly memoryBytes: number;
}

/**
 * Metrics of a serving process, by model and version; never by tenant or key. A tenant's own models, whose names begin with the
 * tenant's slug, are all called `private`, and their versions by their id.
 */
export class ServingMetrics {
  readonly #queue: Histogram<'model' | 'version'>;
  readonly #run: Histogram<'model' | 'version'>;
  readonly #batch: Histogram<'model' | 'version'>;
  readonly #padding: Counter<'model' | 'version'>;
  readonly #failedRuns: Counter<'model' | 'version'>;
  readonly #rejections: Counter<'model' | 'version' | 'reason'>;
  readonly #loads: Counter<'model' | 'version' | 'outcome'>;
  readonly #loadSeconds: Histogram<'model' | 'version'>;
  readonly #boundedClaims: Counter<'model' | 'version'>;

  constructor(registry: Registry, gauges: () => readonly VersionGauges[]) {
    const registers = [registry];
    const labelNames = ['model', 'version'] as const;
    this.#queue = new Histogram({
      name: 'weir_model_queue_seconds',
      help: 'Time that rows waited for their run',
      labelNames,
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    });
    this.#run = new Histogram({
      name: 'weir_model_run_seconds',
      help: 'Time that a run took',
      labelNames,
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    });
    this.#batch = new Histogram({ name: 'weir_model_batch_rows', help: 'Rows in a run', labelNames, buckets: BATCH_BUCKETS, registers });
    this.#padding = new Counter({
      name: 'weir_model_padding_rows_total',
      help: 'Computed rows that were padding only, as the sum of the padded part of each run times its rows',
      labelNames,
      registers,
    });
    this.#failedRuns = new Counter({ name: 'weir_model_failed_runs_total', help: 'Runs that ONNX Runtime refused', labelNames, registers });
    this.#rejections = new Counter({
      name: 'weir_model_rejections_total',
      help: 'Rows that were given up before their run, by reason',
      labelNames: [...labelNames, 'reason'],
      registers,
    });
    this.#loads = new Counter({
      name: 'weir_model_loads_total',
      help: 'Times that a version was brought into memory, by outcome',
      labelNames: [...labelNames, 'outcome'],
      registers,
    });
    this.#loadSeconds = new Histogram({
      name: 'weir_model_load_seconds',
      help: 'Time to bring a version into memory and run it once',
      labelNames,
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    });
    this.#boundedClaims = new Counter({
      name: 'weir_model_usage_claims_bounded_total',
      help: 'Answers of other servers that claimed more usage than their request can explain; the bound was metered instead',
      labelNames,
      registers,
    });
    new Gauge({
      name: 'weir_model_queue_length',
      help: 'Rows that wait for a run',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const version of gauges()) this.set(labelsOf(version), version.queueLength);
      },
    });
    new Gauge({
      name: 'weir_model_memory_bytes',
      help: 'Memory that a version took when it was loaded and run once: weights and arena; 0 while it is not in memory',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const version of gauges()) this.set(labelsOf(version), version.memoryBytes);
      },
    });
  }

  seriesOf(version: MeasuredVersion): VersionSeries {
    const labels = labelsOf(version);
    const rejected = (reason: RejectionReason) => this.#rejections.labels({ ...labels, reason });
    return {
      queue: this.#queue.labels(labels),
      run: this.#run.labels(labels),
      batch: this.#batch.labels(labels),
      padding: this.#padding.labels(labels),
      failedRuns: this.#failedRuns.labels(labels),
      rejections: { overloaded: rejected('overloaded'), timeout: rejected('timeout'), cancelled: rejected('cancelled') },
    };
  }

  loaded(version: MeasuredVersion, outcome: 'ready' | 'failed', seconds: number): void {
    const labels = labelsOf(version);
    this.#loads.inc({ ...labels, outcome });
    this.#loadSeconds.observe(labels, seconds);
  }

  /** Another server claimed more usage than its request can explain. */
  boundedClaim(model: string, version: string): void {
    this.#boundedClaims.inc({ model, version });
  }
}

function labelsOf({ versionId, model, version }: MeasuredVersion): { readonly model: string; readonly version: string } {
  return model.includes('/') ? { model: 'private', version: versionId } : { model, version };
}

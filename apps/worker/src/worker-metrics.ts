import { Counter, Gauge, Histogram, LATENCY_BUCKETS_SECONDS, type Registry } from '@weir/platform/telemetry';
import type { RuntimeObserver } from './runtime/model-runtime.ts';

/** What a worker measures. No model or tenant stands in a label: both are without bound. */
export class WorkerMetrics implements RuntimeObserver {
  readonly #queueSeconds: Histogram;
  readonly #runSeconds: Histogram;
  readonly #loads: Counter<'outcome'>;
  readonly #rejections: Counter<'reason'>;
  #queueLength: () => number = () => 0;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#queueSeconds = new Histogram({
      name: 'weir_worker_queue_seconds',
      help: 'Time that a call waited for its model',
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    });
    this.#runSeconds = new Histogram({
      name: 'weir_worker_run_seconds',
      help: 'Time that a model ran for a call',
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    });
    this.#loads = new Counter({
      name: 'weir_worker_loads_total',
      help: 'Attempts to load a version, by outcome',
      labelNames: ['outcome'],
      registers,
    });
    this.#rejections = new Counter({
      name: 'weir_worker_rejections_total',
      help: 'Calls that were given up before an answer, by reason',
      labelNames: ['reason'],
      registers,
    });
    const current = (): number => this.#queueLength();
    new Gauge({
      name: 'weir_worker_queue_length',
      help: 'Calls that wait for a model',
      registers,
      collect() {
        this.set(current());
      },
    });
  }

  /** Where the length of the queues is read when the metrics are asked for. */
  readQueueLengthFrom(read: () => number): void {
    this.#queueLength = read;
  }

  waited(seconds: number): void {
    this.#queueSeconds.observe(seconds);
  }

  ran(seconds: number): void {
    this.#runSeconds.observe(seconds);
  }

  loaded(outcome: 'ready' | 'retry' | 'failed'): void {
    this.#loads.inc({ outcome });
  }

  rejected(reason: 'overloaded' | 'timeout' | 'cancelled'): void {
    this.#rejections.inc({ reason });
  }
}

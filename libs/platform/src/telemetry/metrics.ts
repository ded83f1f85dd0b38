import type { ErrorCode } from '@weir/kernel';
import { AggregatorRegistry, collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

export { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Upper bounds in seconds: from a local answer in a millisecond to a call that waits for a model. */
export const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The process's metrics in Prometheus' terms: base units, no tenant or key as a label. */
export function createMetrics(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  registry.registerMetric(errors);
  return registry;
}

/** One for the process: errors are answered in many places, below and above what knows the registry. */
const errors = new Counter({
  name: 'weir_errors_total',
  help: 'Errors that were answered, by code of the error table',
  labelNames: ['code'],
  registers: [],
});

/** Counts an error that is answered. */
export function countError(code: ErrorCode): void {
  errors.inc({ code });
}

export function httpRequestHistogram(registry: Registry): Histogram<'method' | 'route' | 'status'> {
  return new Histogram({
    name: 'weir_http_request_seconds',
    help: 'Time to answer an HTTP request, by route pattern and status',
    labelNames: ['method', 'route', 'status'],
    buckets: LATENCY_BUCKETS_SECONDS,
    registers: [registry],
  });
}

/** One registry out of what several processes measure, each in prom-client's JSON. */
export function addedUp(metrics: readonly unknown[]): Registry {
  return AggregatorRegistry.aggregate([...metrics] as object[]);
}

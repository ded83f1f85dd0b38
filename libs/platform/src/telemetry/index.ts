export { createLogger, type Logger, type LoggerOptions } from './logger.ts';
export {
  addedUp,
  countError,
  Counter,
  createMetrics,
  Gauge,
  Histogram,
  httpRequestHistogram,
  LATENCY_BUCKETS_SECONDS,
  Registry,
} from './metrics.ts';
export { currentRequestId, inRequest } from './request-scope.ts';
export {
  currentSpanParent,
  currentTraceparent,
  inSpan,
  isTracingEnabled,
  recordSpan,
  startTracing,
  type SpanParent,
  type Tracing,
  type TracingOptions,
} from './tracing.ts';

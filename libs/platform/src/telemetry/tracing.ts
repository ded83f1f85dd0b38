import { context, propagation, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';

const TRACER = 'weir';

let isEnabled = false;

export interface Tracing {
  /** Sends what is buffered and stops. */
  shutdown(): Promise<void>;
}

export interface TracingOptions {
  readonly service: string;
  /** Base address of an OpenTelemetry collector (OTLP over HTTP); without it nothing is recorded and spans cost nothing. */
  readonly otlpEndpoint: string | undefined;
  /** Takes the place of the collector, for tests. */
  readonly exporter?: SpanExporter;
}

/** Turns tracing on for the process. Trace context travels in `traceparent` (W3C) across HTTP and the bus. */
export function startTracing(options: TracingOptions): Tracing {
  const exporter =
    options.exporter ??
    (options.otlpEndpoint === undefined
      ? undefined
      : new OTLPTraceExporter({ url: `${options.otlpEndpoint.replace(/\/$/, '')}/v1/traces` }));
  if (exporter === undefined) return { shutdown: async () => {} };
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ [ATTR_SERVICE_NAME]: `weir-${options.service}` }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  provider.register();
  isEnabled = true;
  return {
    shutdown: async () => {
      isEnabled = false;
      await provider.shutdown();
    },
  };
}

/** Are spans recorded? The hot path asks before it does any work for them. */
export function isTracingEnabled(): boolean {
  return isEnabled;
}

/** `traceparent` of the current span, to be sent along; undefined when there is none. */
export function currentTraceparent(): string | undefined {
  if (!isEnabled) return undefined;
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}

/** Runs `work` in a span whose parent is the given `traceparent`, or the current span. The span fails when the work throws. */
export async function inSpan<T>(
  name: string,
  options: { readonly kind?: SpanKind; readonly traceparent?: string | undefined },
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (!isEnabled) return work(undefined);
  const parent =
    options.traceparent === undefined ? context.active() : propagation.extract(context.active(), { traceparent: options.traceparent });
  return trace.getTracer(TRACER).startActiveSpan(name, { kind: options.kind ?? SpanKind.INTERNAL }, parent, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Where spans that are written afterwards belong: taken while the work is under way. */
export type SpanParent = ReturnType<typeof context.active>;

/** The current place in the trace; undefined when nothing is recorded. */
export function currentSpanParent(): SpanParent | undefined {
  return isEnabled ? context.active() : undefined;
}

/** Records a span whose times are known only afterwards, in milliseconds of `performance.now()`. */
export function recordSpan(
  name: string,
  parent: SpanParent | undefined,
  startMs: number,
  endMs: number,
  attributes: Readonly<Record<string, string | number>> = {},
): void {
  if (parent === undefined) return;
  const span = trace
    .getTracer(TRACER)
    .startSpan(name, { startTime: performance.timeOrigin + startMs, attributes: { ...attributes } }, parent);
  span.end(performance.timeOrigin + endMs);
}

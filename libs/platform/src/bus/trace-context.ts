import { context, defaultTextMapGetter, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { BusRecord, NewRecord } from './event-bus.ts';

/** Header with the W3C trace context of the work that sent the record. */
export const TRACEPARENT_HEADER = 'traceparent';

/** The record with the active trace in its headers; one that has a trace keeps it (an outbox relays the trace of the work, not its own). */
export function withTrace(record: NewRecord): NewRecord {
  if (record.headers?.[TRACEPARENT_HEADER] !== undefined) return record;
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  const traceparent = carrier[TRACEPARENT_HEADER];
  return traceparent === undefined ? record : { ...record, headers: { ...record.headers, [TRACEPARENT_HEADER]: traceparent } };
}

/** Traces of a batch that its span names beside the one that it belongs to. */
const MAX_LINKS = 32;

/**
 * Runs `work` in a span of the batch's trace: that of its first record that has one. The span links to the traces of
 * the others. Without tracing there is no span, only the context.
 */
export async function inTraceOf<T>(topic: string, records: readonly BusRecord[], work: () => Promise<T>): Promise<T> {
  const [first, ...others] = records
    .filter((record) => record.headers[TRACEPARENT_HEADER] !== undefined)
    .slice(0, MAX_LINKS)
    .map((record) => propagation.extract(ROOT_CONTEXT, record.headers, defaultTextMapGetter));
  const links = others.flatMap((other) => trace.getSpanContext(other) ?? []).map((spanContext) => ({ context: spanContext }));
  return trace
    .getTracer('weir')
    .startActiveSpan(`consume ${topic}`, { kind: SpanKind.CONSUMER, links }, first ?? ROOT_CONTEXT, async (span) => {
      try {
        return await work();
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    });
}

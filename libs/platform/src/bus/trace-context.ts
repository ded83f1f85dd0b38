import { context, defaultTextMapGetter, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
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

/** Runs `work` within the trace of the batch: that of its first record that has one. Later records may belong to other traces. */
export function inTraceOf<T>(records: readonly BusRecord[], work: () => Promise<T>): Promise<T> {
  const traced = records.find((record) => record.headers[TRACEPARENT_HEADER] !== undefined);
  if (traced === undefined) return context.with(ROOT_CONTEXT, work);
  return context.with(propagation.extract(ROOT_CONTEXT, traced.headers, defaultTextMapGetter), work);
}

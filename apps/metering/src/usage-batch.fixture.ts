import { usageRecorded, type EventEnvelope, type Usage } from '@weir/contracts';
import { toRecord, type BusRecord, type RecordBatch } from '@weir/platform/bus';

const TOPIC = usageRecorded.topic;

/** The record in which an event stands in its topic. */
export function recordOf(event: EventEnvelope<Usage>, offset: number, partition = 0): BusRecord {
  const record = toRecord(usageRecorded, event.data, event);
  return { topic: TOPIC, partition, offset, key: record.key, value: record.value, headers: record.headers ?? {}, timestampMs: 0 };
}

/** A batch of events that stand one behind the other from `firstOffset` on. */
export function batchOf(events: readonly EventEnvelope<Usage>[], firstOffset = 0, partition = 0): RecordBatch {
  const [first, ...rest] = events.map((event, index) => recordOf(event, firstOffset + index, partition));
  if (first === undefined) throw new Error('a batch holds at least one record');
  return { topic: TOPIC, partition, records: [first, ...rest] };
}

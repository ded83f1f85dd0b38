import type { TopicDefinition } from '@weir/contracts';
import { EVENT_TYPE_HEADER } from './events.ts';
import type { NewRecord, PoisonRecordError } from './event-bus.ts';

/** Long enough to notice, to mend the consumer and to send the records again. */
const DEAD_LETTER_RETENTION_MS = 90 * 86_400_000;

/** A reason is a sentence; longer ones are cut. */
const REASON_MAX_LENGTH = 1_000;

/** Headers of a dead letter. Its key and value are those of the record. */
export const DEAD_LETTER_HEADERS = {
  reason: 'dead-reason',
  group: 'dead-group',
  topic: 'dead-topic',
  partition: 'dead-partition',
  offset: 'dead-offset',
  key: 'dead-key',
  type: 'dead-type',
} as const;

/** The topic for the records that a group could not handle. */
export function deadTopic(group: string): TopicDefinition {
  return {
    name: `${group}.dead`,
    kind: 'fact',
    partitions: 1,
    retentionMs: DEAD_LETTER_RETENTION_MS,
    key: 'that of the record',
    writtenBy: [group],
    readBy: [],
  };
}

/** What is written to the dead-letter topic: the record as it was, and where it stood and why it was put aside. */
export function deadLetter(group: string, poison: PoisonRecordError): NewRecord {
  const { record, reason } = poison;
  return {
    key: record.key,
    value: record.value,
    headers: {
      ...record.headers,
      [DEAD_LETTER_HEADERS.reason]: reason.slice(0, REASON_MAX_LENGTH).replaceAll('\0', ''),
      [DEAD_LETTER_HEADERS.group]: group,
      [DEAD_LETTER_HEADERS.topic]: record.topic,
      [DEAD_LETTER_HEADERS.partition]: String(record.partition),
      [DEAD_LETTER_HEADERS.offset]: String(record.offset),
      [DEAD_LETTER_HEADERS.key]: record.key,
      [DEAD_LETTER_HEADERS.type]: record.headers[EVENT_TYPE_HEADER] ?? '',
    },
  };
}

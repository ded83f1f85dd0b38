import type { TopicDefinition } from '@weir/contracts';
import type { Logger } from 'pino';
import { EVENT_TYPE_HEADER } from './events.ts';
import type { EventBus, NewRecord, PoisonRecordError } from './event-bus.ts';

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

/** Puts poisoned records of a group aside: resolves when the bus has the dead letter. */
export function burialOn(
  bus: Pick<EventBus, 'ensureTopics' | 'send'>,
  group: string,
  logger: Logger,
): (poison: PoisonRecordError) => Promise<void> {
  const dead = deadTopic(group);
  return async (poison) => {
    await bus.ensureTopics([dead]);
    await bus.send(dead.name, [deadLetter(group, poison)]);
    const { topic, partition, offset } = poison.record;
    logger.error({ group, topic, partition, offset, reason: poison.reason }, 'a record went to the dead letters');
  };
}

/** What is written to the dead-letter topic: the record as it was, and where it stood and why it was put aside. */
function deadLetter(group: string, poison: PoisonRecordError): NewRecord {
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

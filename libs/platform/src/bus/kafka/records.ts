import type { KafkaMessage } from 'kafkajs';
import type { BusRecord } from '../event-bus.ts';

/** A message as the bus hands it over. Headers that a foreign client repeated keep their last value. */
export function toBusRecord(topic: string, partition: number, message: KafkaMessage): BusRecord {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined) headers[name] = last.toString();
  }
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key?.toString() ?? '',
    value: message.value?.toString() ?? null,
    headers,
    timestampMs: Number(message.timestamp),
  };
}

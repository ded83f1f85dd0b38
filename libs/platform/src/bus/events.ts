import { envelopeSchema, type EventDefinition, type EventEnvelope } from '@weir/contracts';
import { PoisonRecordError, type BusRecord, type NewRecord } from './event-bus.ts';
import { TRACEPARENT_HEADER } from './trace-context.ts';

/** Header with the event's type, so that readers can pass over a record without parsing it. */
export const EVENT_TYPE_HEADER = 'event-type';

/** What an event says beside its payload. */
export interface EventAttributes {
  /** UUID version 7; stays the same when the event is sent again. */
  readonly id: string;
  /** The process that writes it, such as `gateway/1f3c`. */
  readonly source: string;
  /** The tenant that it is about; null for facts about the platform. */
  readonly tenant: string | null;
  /** When it happened: ISO 8601 in UTC. */
  readonly occurredAt: string;
  /** W3C trace context of the work that caused it; without it the bus puts that of the sender into the record's header. */
  readonly traceparent?: string | undefined;
}

/**
 * The record that carries an event.
 *
 * @throws Error  the payload or the attributes break their contract: a fault of the caller
 */
export function toRecord<T>(definition: EventDefinition<T>, data: T, attributes: EventAttributes): NewRecord {
  const envelope = envelopeSchema.parse({
    ...attributes,
    type: definition.type,
    schema: definition.schemaVersion,
    data: definition.schema.parse(data),
  });
  const headers: Record<string, string> = { [EVENT_TYPE_HEADER]: definition.type };
  if (attributes.traceparent !== undefined) headers[TRACEPARENT_HEADER] = attributes.traceparent;
  return { key: definition.key(data), value: JSON.stringify(envelope), headers };
}

/**
 * The type of the event that a record carries, or null for a tombstone.
 * Reads the header; a record without one (written by a foreign client) is parsed.
 *
 * @throws PoisonRecordError  the record has no such header and is not an event
 */
export function eventTypeOf(record: BusRecord): string | null {
  if (record.value === null) return null;
  return record.headers[EVENT_TYPE_HEADER] ?? parseEnvelope(record).type;
}

/**
 * The event that a record carries.
 *
 * @throws PoisonRecordError  it is a tombstone, not an envelope, of another type, or its payload breaks the schema;
 *                            the reason names fields, never their content
 */
export function parseRecord<T>(definition: EventDefinition<T>, record: BusRecord): EventEnvelope<T> {
  const envelope = parseEnvelope(record);
  if (envelope.type !== definition.type) throw new PoisonRecordError(record, `its type is ${envelope.type}, not ${definition.type}`);
  const payload = definition.schema.safeParse(envelope.data);
  if (!payload.success)
    throw new PoisonRecordError(record, `the payload of ${definition.type} is wrong at ${faults(payload.error.issues)}`);
  return { ...envelope, data: payload.data };
}

function parseEnvelope(record: BusRecord): EventEnvelope {
  if (record.value === null) throw new PoisonRecordError(record, 'it is a tombstone');
  let json: unknown;
  try {
    json = JSON.parse(record.value);
  } catch {
    // The parser's own message quotes the text, and dead letters' reasons hold no payload.
    throw new PoisonRecordError(record, 'its value is not JSON');
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) throw new PoisonRecordError(record, `its envelope is wrong at ${faults(envelope.error.issues)}`);
  return envelope.data;
}

/** Where a schema was broken and by which rule: paths and codes, without the values. */
function faults(issues: readonly { readonly path: readonly PropertyKey[]; readonly code?: string | undefined }[]): string {
  return issues
    .slice(0, 5)
    .map((issue) => `${issue.path.map(String).join('.') || 'its root'} (${issue.code ?? 'invalid'})`)
    .join(', ');
}

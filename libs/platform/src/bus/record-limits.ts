import { AppError } from '@weir/kernel';
import type { NewRecord } from './event-bus.ts';

/** Largest value in bytes of UTF-8: Kafka's customary limit, far above any event of the platform. */
export const VALUE_MAX_BYTES = 1_048_576;
/** Largest key in bytes of UTF-8: keys are ids, and PostgreSQL indexes at most 2,704 bytes. */
export const KEY_MAX_BYTES = 1_024;
/** Largest headers in bytes, names and values together: a trace, an event type and the reason of a dead letter. */
export const HEADERS_MAX_BYTES = 16_384;
/** Largest message on the wire: value, key, headers and framing, with room for Kafka's batch header. */
export const MESSAGE_MAX_BYTES = 2 * VALUE_MAX_BYTES;
/** Most bytes that go to the log in one append; larger sends are cut into several, in order. */
export const APPEND_MAX_BYTES = 2 * VALUE_MAX_BYTES - 131_072;
/** Most records that go to the log in one append. */
export const APPEND_MAX_RECORDS = 1_000;

/**
 * Refuses a record that one of the buses could not carry, so that both refuse the same.
 *
 * @throws request.too_large  the value, the key or the headers are over their limit
 * @throws request.invalid    a text holds a NUL character or half of a surrogate pair, which PostgreSQL cannot store
 */
export function checkRecord(record: NewRecord): void {
  if (record.value !== null) atMost('value', Buffer.byteLength(record.value), VALUE_MAX_BYTES);
  atMost('key', Buffer.byteLength(record.key), KEY_MAX_BYTES);
  atMost('headers', headersBytes(record), HEADERS_MAX_BYTES);
  const texts = [record.key, record.value ?? '', ...Object.entries(record.headers ?? {}).flat()];
  if (texts.some((text) => text.includes('\0') || !text.isWellFormed())) {
    throw new AppError('request.invalid', { message: 'A record may hold neither NUL characters nor halves of surrogate pairs.' });
  }
}

/** Cuts records into appends of bounded size; a record that is larger than the bound alone goes alone. */
export function inAppends<R extends NewRecord>(records: readonly R[]): R[][] {
  const appends: R[][] = [];
  let current: R[] = [];
  let sizeBytes = 0;
  for (const record of records) {
    const recordBytes = Buffer.byteLength(record.value ?? '') + Buffer.byteLength(record.key) + headersBytes(record);
    if (current.length > 0 && (current.length >= APPEND_MAX_RECORDS || sizeBytes + recordBytes > APPEND_MAX_BYTES)) {
      appends.push(current);
      current = [];
      sizeBytes = 0;
    }
    current.push(record);
    sizeBytes += recordBytes;
  }
  if (current.length > 0) appends.push(current);
  return appends;
}

function headersBytes(record: NewRecord): number {
  let sum = 0;
  for (const [name, value] of Object.entries(record.headers ?? {})) sum += Buffer.byteLength(name) + Buffer.byteLength(value);
  return sum;
}

function atMost(what: string, sizeBytes: number, maxBytes: number): void {
  if (sizeBytes > maxBytes)
    throw new AppError('request.too_large', {
      message: `The ${what} of a record has ${sizeBytes} bytes; at most ${maxBytes} are allowed.`,
    });
}

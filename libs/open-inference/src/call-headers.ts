import { AppError } from '@weir/kernel';
import { splitBody } from './request.ts';
import { HEADER_LENGTH_HEADER, PRIORITIES, PRIORITY_HEADER, TIMEOUT_HEADER, type EncodedMessage, type Priority } from './types.ts';
import { isObject } from './values.ts';

const MILLISECONDS = /^\d{1,9}$/;

/**
 * How long the caller waits, in milliseconds; undefined when it says nothing.
 *
 * @throws request.invalid naming the header
 */
export function timeoutMsOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && MILLISECONDS.test(header) && Number(header) >= 1) return Number(header);
  throw new AppError('request.invalid', {
    field: TIMEOUT_HEADER,
    message: `The header ${TIMEOUT_HEADER} must be a whole number of milliseconds of at least 1.`,
  });
}

/**
 * The caller's wish for its place in the queue; undefined when it says nothing.
 *
 * @throws request.invalid naming the header
 */
export function priorityOf(header: string | string[] | undefined): Priority | undefined {
  if (header === undefined) return undefined;
  const priority = PRIORITIES.find((one) => one === header);
  if (priority !== undefined) return priority;
  throw new AppError('request.invalid', {
    field: PRIORITY_HEADER,
    message: `The header ${PRIORITY_HEADER} must be ${PRIORITIES.join(' or ')}.`,
  });
}

const SEQUENCE_ID = '"sequence_id"';

/**
 * The sequence that a request belongs to, by `parameters.sequence_id`; undefined when it names none (0 and '' are none).
 * Only a request that mentions one is parsed for it; whether it is valid otherwise is seen by whoever reads it.
 */
export function sequenceIdOf(message: EncodedMessage): string | undefined {
  if (!jsonPartOf(message).includes(SEQUENCE_ID)) return undefined;
  const { json } = splitBody(message.body, message.headers[HEADER_LENGTH_HEADER]);
  const parameters = isObject(json) ? json['parameters'] : undefined;
  return isObject(parameters) ? sequenceId(parameters['sequence_id']) : undefined;
}

/** A `sequence_id` as one text, whether it came as a number or a string; 0 and '' name none. */
export function sequenceId(value: unknown): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  return value === '' || value === 0 ? undefined : String(value);
}

/** The JSON part of a message, as bytes; empty when the header with its length is invalid. */
export function jsonPartOf({ body, headers }: EncodedMessage): Buffer {
  const length = headers[HEADER_LENGTH_HEADER];
  return length === undefined ? body : body.subarray(0, Number(length) || 0);
}

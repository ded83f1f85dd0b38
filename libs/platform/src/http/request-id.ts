import { systemIds } from '@weir/kernel';

const SANE = /^[\w.-]{8,64}$/;

/** The caller's `x-request-id` when it is a plain token of 8 to 64 characters, else a new id. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && SANE.test(header) ? header : systemIds.next();
}

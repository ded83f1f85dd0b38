import { z } from 'zod';

/** Text that a caller wrote and the database can be asked for: no control characters (PostgreSQL has no NUL), well-formed Unicode. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}

/** An id in an input: 1 to 64 characters. `*`, which means all tenants where a transaction is scoped, is no id. */
export const idInput = z
  .string()
  .min(1)
  .max(64)
  .refine((text) => text !== '*' && isStorable(text), { error: 'must be an id' });

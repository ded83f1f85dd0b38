import { z } from 'zod';

/** Text that PostgreSQL can keep and people can read: well-formed Unicode without control characters but line breaks and tabs. */
function plainText(maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .regex(/^[^\p{Cc}]*(?:[\n\t][^\p{Cc}]*)*$/u, 'must not contain control characters')
    .refine((text) => text.isWellFormed(), 'must be well-formed Unicode');
}

/** A name for people, 1 to 100 characters. */
export const displayText = plainText(100).trim().min(1);
/** A paragraph, at most 2,000 characters. */
export const paragraphText = plainText(2_000).trim();
/** A licence, such as an SPDX identifier, at most 100 characters. */
export const licenceText = plainText(100).trim().min(1);
/** A tag: lower-case letters, digits and hyphens. */
export const tagText = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'must be 1 to 40 lower-case letters, digits and hyphens');
/** What is searched for, at most 100 characters. */
export const searchText = plainText(100).trim();

import { z } from 'zod';

/** A name for people: 1 to 100 characters without control characters, trimmed. */
export const displayText = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^\P{Cc}*$/u, 'must not contain control characters');

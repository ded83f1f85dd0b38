import { isStorable } from '@weir/platform/graphql';
import { z } from 'zod';

/** A name for people: 1 to 100 characters without control characters, trimmed. */
export const displayText = z.string().trim().min(1).max(100).refine(isStorable, 'must not contain control characters');

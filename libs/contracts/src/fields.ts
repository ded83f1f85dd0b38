import { DECIMAL_PATTERN } from '@weir/kernel';
import { z } from 'zod';

/** An id as every owner makes them; opaque to everyone else. */
export const id = z.string().min(1).max(64);
/** A moment in UTC, ISO 8601. */
export const instant = z.iso.datetime();
/** A plain decimal number as text. */
export const decimal = z.string().regex(DECIMAL_PATTERN);
/** ISO 4217. */
export const currency = z.string().regex(/^[A-Z]{3}$/);
/** Lower-case hexadecimal SHA-256. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Name of a model as callers write it: `digits`, or `acme/digits` for a tenant's own. */
export const modelName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}(\/[a-z0-9][a-z0-9._-]{0,62})?$/);

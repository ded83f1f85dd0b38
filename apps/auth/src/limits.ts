import type { KeyLimits } from '@weir/contracts';
import { z } from 'zod';

/** Far above what one process of the gateway answers; a limit beyond it would limit nothing. */
const MAX_REQUESTS_PER_MINUTE = 1_000_000;
const MAX_IN_FLIGHT = 10_000;

/** Limits of a key or of a tenant, as somebody sets them; null and left out mean the platform's default. */
export const limitsInput = z
  .object({
    requestsPerMinute: z.number().int().min(1).max(MAX_REQUESTS_PER_MINUTE).nullish(),
    maxInFlight: z.number().int().min(1).max(MAX_IN_FLIGHT).nullish(),
  })
  .transform(({ requestsPerMinute, maxInFlight }): KeyLimits => ({
    requestsPerMinute: requestsPerMinute ?? null,
    maxInFlight: maxInFlight ?? null,
  }));

/** The platform's defaults. */
export const NO_LIMITS: KeyLimits = { requestsPerMinute: null, maxInFlight: null };

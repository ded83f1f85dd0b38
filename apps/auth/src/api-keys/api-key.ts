import { API_KEY_SCOPES, DEFAULT_API_KEY_SCOPES, type Scope } from '@weir/access';
import type { KeyLimits } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { idInput } from '@weir/platform/graphql';
import { z } from 'zod';
import { limitsInput, NO_LIMITS } from '../limits.ts';
import { displayText } from '../texts.ts';

/** A secret with which software calls the platform for a tenant. Only its digest is kept. */
export interface ApiKey {
  /** Public: the first characters of the key behind its prefix. */
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  /** SHA-256 of the whole key, in hexadecimal. */
  readonly digest: string;
  readonly scopes: readonly Scope[];
  readonly limits: KeyLimits;
  /** Id of the person or service that made it. */
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

export type ApiKeyStatus = 'active' | 'expired' | 'revoked';

/** What may be done with the key at `now`. */
export function statusOf(key: Pick<ApiKey, 'expiresAt' | 'revokedAt'>, now: Date): ApiKeyStatus {
  if (key.revokedAt !== null) return 'revoked';
  return key.expiresAt !== null && key.expiresAt <= now ? 'expired' : 'active';
}

export const createApiKeySchema = z.object({
  name: displayText,
  scopes: z
    .array(z.enum(API_KEY_SCOPES))
    .min(1)
    .nullish()
    .transform((scopes): readonly Scope[] => (scopes === null || scopes === undefined ? DEFAULT_API_KEY_SCOPES : [...new Set(scopes)])),
  limits: limitsInput.nullish().transform((limits): KeyLimits => limits ?? NO_LIMITS),
  expiresAt: z
    .date()
    .nullish()
    .transform((expiresAt) => expiresAt ?? null),
});
export type CreateApiKey = z.output<typeof createApiKeySchema>;

export const apiKeyIdSchema = z.object({ id: idInput });

/** @throws request.invalid the key would be expired from the start */
export function checkExpiry(expiresAt: Date | null, now: Date): void {
  if (expiresAt !== null && expiresAt <= now)
    throw new AppError('request.invalid', { field: 'input.expiresAt', message: 'input.expiresAt: must be in the future.' });
}

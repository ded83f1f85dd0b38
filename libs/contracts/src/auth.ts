import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { id, instant, sha256 } from './fields.ts';

export const keyLimitsSchema = z.object({
  /** Calls a minute; null means the platform's default. */
  requestsPerMinute: z.number().int().positive().nullable(),
  /** Calls that may be in flight at once; null means the platform's default. */
  maxInFlight: z.number().int().positive().nullable(),
});
export type KeyLimits = z.infer<typeof keyLimitsSchema>;

export const tenantSchema = z.object({
  id,
  /** Short name in lower case, used in the names of the tenant's own models. */
  slug: z.string(),
  displayName: z.string(),
  status: z.enum(['active', 'suspended']),
  /**
   * Limits on all calls of the tenant together, set by the operator: keys share them, whatever their own limits are.
   * Null, or absent in records of older writers, means the platform's default.
   */
  limits: keyLimitsSchema.optional(),
});
/** A customer of the platform, or the operator itself. */
export type TenantState = z.infer<typeof tenantSchema>;

/** The tenant as it is now. */
export const tenantChanged = defineEvent({
  type: 'auth.tenant.changed.v1',
  topic: 'auth.tenants',
  schema: tenantSchema,
  key: (tenant) => tenant.id,
});

export const apiKeySchema = z.object({
  id,
  tenantId: id,
  /** SHA-256 of the whole key; the key itself is nowhere. */
  digest: sha256,
  name: z.string(),
  scopes: z.array(z.string()),
  limits: keyLimitsSchema,
  expiresAt: instant.nullable(),
});
/** An API key as the gateway needs it. */
export type ApiKeyState = z.infer<typeof apiKeySchema>;

/** The API key as it is now. A revoked key is a tombstone: `data` null under its digest. */
export const apiKeyChanged = defineEvent({
  type: 'auth.api-key.changed.v1',
  topic: 'auth.api-keys',
  schema: apiKeySchema,
  key: (key) => key.digest,
});

export const sessionRevokedSchema = z.object({
  id,
  /** After this moment the session's token has expired and the record may be forgotten. */
  expiresAt: instant,
});
export type SessionRevocation = z.infer<typeof sessionRevokedSchema>;

/** A session ended before its token expires. */
export const sessionRevoked = defineEvent({
  type: 'auth.session.revoked.v1',
  topic: 'auth.sessions',
  schema: sessionRevokedSchema,
  key: (session) => session.id,
});

export const signingKeySchema = z.object({
  /** `kid` of the tokens that it signed. */
  id,
  /** Public JSON Web Key (RFC 7517), Ed25519. */
  jwk: z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() }),
});
export type SigningKeyState = z.infer<typeof signingKeySchema>;

/** A key with which auth signs session tokens. */
export const signingKeyChanged = defineEvent({
  type: 'auth.signing-key.changed.v1',
  topic: 'auth.signing-keys',
  schema: signingKeySchema,
  key: (key) => key.id,
});

import { isStorable } from '@weir/platform/graphql';
import { z } from 'zod';
import { emailSchema, type Person } from '../people/person.ts';
import type { Tenant } from '../tenants/tenant.ts';

/** A sign-in as it is kept; the token that proves it is `Session` of @weir/access. */
export interface SessionRecord {
  readonly id: string;
  readonly tenantId: string;
  readonly personId: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** Set by a sign-out. */
  readonly revokedAt: Date | null;
}

/** Who is signed in, and until when. */
export interface SignedIn {
  readonly expiresAt: Date;
  readonly tenant: Tenant;
  readonly person: Person;
}

/** May the session be used at `now`? */
export function isLive(session: SessionRecord, now: Date): boolean {
  return session.revokedAt === null && session.expiresAt > now;
}

/** Any password may be tried that could be somebody's; the bound is only against waste. */
export const signInSchema = z.object({
  email: emailSchema,
  password: z.string().min(1).max(1_000),
  /** Slug of the tenant, for a person whose address and password are the same in several. */
  tenant: z.string().min(1).max(40).refine(isStorable, 'must be the slug of a tenant').optional(),
});
export type SignIn = z.infer<typeof signInSchema>;

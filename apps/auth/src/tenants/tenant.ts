import { PLATFORM_TENANT_ID } from '@weir/access';
import type { KeyLimits, TenantState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { idInput } from '@weir/platform/graphql';
import { z } from 'zod';
import { limitsInput } from '../limits.ts';
import { newPersonSchema } from '../people/person.ts';
import { displayText } from '../texts.ts';

/** A customer of the platform, or the operator itself. */
export interface Tenant {
  readonly id: string;
  /** Short name in lower case; stands in the names of the tenant's own models. Never changes. */
  readonly slug: string;
  readonly displayName: string;
  readonly status: TenantStatus;
  /** Limits of all its calls together, set by the operator; limits of its keys that are higher have no effect. */
  readonly limits: KeyLimits;
  readonly createdAt: Date;
}

export type TenantStatus = 'active' | 'suspended';

/** The operator's own tenant. It exists from the first operator on and cannot be suspended. */
export const PLATFORM_TENANT: Pick<Tenant, 'id' | 'slug' | 'displayName'> = {
  id: PLATFORM_TENANT_ID,
  slug: PLATFORM_TENANT_ID,
  displayName: 'Platform',
};

/** The state of a tenant that other services receive. */
export function tenantState(tenant: Tenant): TenantState {
  return { id: tenant.id, slug: tenant.slug, displayName: tenant.displayName, status: tenant.status, limits: tenant.limits };
}

/**
 * May the tenant have one more of what it has `count` of?
 *
 * @param what in the plural, for the message
 * @throws tenant.limit_reached
 */
export function checkRoom(what: string, count: number, max: number): void {
  if (count >= max) throw new AppError('tenant.limit_reached', { message: `The tenant has ${count} ${what} and may have ${max}.` });
}

const slugSchema = z
  .string()
  .min(3)
  .max(40)
  .regex(/^[a-z0-9][a-z0-9-]*[a-z0-9]$/, 'must be lower-case letters, digits and hyphens, with a letter or digit at both ends')
  .refine((slug) => slug !== PLATFORM_TENANT.slug, 'is reserved');

export const createTenantSchema = z.object({
  slug: slugSchema,
  displayName: displayText,
  /** The first person of the tenant. */
  owner: newPersonSchema,
});
export type CreateTenant = z.infer<typeof createTenantSchema>;

export const tenantIdSchema = z.object({ id: idInput });

export const setTenantLimitsSchema = z.intersection(tenantIdSchema, limitsInput);
export type SetTenantLimits = z.infer<typeof setTenantLimitsSchema>;

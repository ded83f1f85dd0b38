import { PLATFORM_TENANT_ID } from '@weir/access';
import { z } from 'zod';
import { newPersonSchema } from '../people/person.ts';
import { displayText } from '../texts.ts';

/** A customer of the platform, or the operator itself. */
export interface Tenant {
  readonly id: string;
  /** Short name in lower case; stands in the names of the tenant's own models. Never changes. */
  readonly slug: string;
  readonly displayName: string;
  readonly status: TenantStatus;
  readonly createdAt: Date;
}

export type TenantStatus = 'active' | 'suspended';

/** The operator's own tenant. It exists from the first operator on and cannot be suspended. */
export const PLATFORM_TENANT: Pick<Tenant, 'id' | 'slug' | 'displayName'> = {
  id: PLATFORM_TENANT_ID,
  slug: PLATFORM_TENANT_ID,
  displayName: 'Platform',
};

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

export const tenantIdSchema = z.object({ id: z.string().min(1).max(64) });

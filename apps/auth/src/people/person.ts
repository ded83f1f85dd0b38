import { PLATFORM_TENANT_ID, type Role } from '@weir/access';
import { AppError } from '@weir/kernel';
import { idInput } from '@weir/platform/graphql';
import { z } from 'zod';
import { displayText } from '../texts.ts';

/** Somebody who signs in. Belongs to one tenant. */
export interface Person {
  readonly id: string;
  readonly tenantId: string;
  /** In lower case; unique within the tenant. */
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Date;
}

/** Long enough to resist guessing; the upper bound keeps the hash from being used to burn time. */
export const PASSWORD_MIN_LENGTH = 12;
export const PASSWORD_MAX_LENGTH = 200;

export const emailSchema = z.string().trim().toLowerCase().max(254).pipe(z.email('must be an e-mail address'));

export const newPersonSchema = z.object({
  email: emailSchema,
  name: displayText,
  password: z.string().min(PASSWORD_MIN_LENGTH).max(PASSWORD_MAX_LENGTH),
});
export type NewPerson = z.infer<typeof newPersonSchema>;

export const addPersonSchema = newPersonSchema.extend({ role: z.enum(['owner', 'member', 'operator']).nullish() });
export type AddPerson = z.infer<typeof addPersonSchema>;

export const personIdSchema = z.object({ id: idInput });

/**
 * The role that a new person gets: operators live in the operator's tenant, and only operators do.
 *
 * @throws request.invalid the tenant has no such role
 */
export function roleFor(tenantId: string, asked: Role | null | undefined): Role {
  const isPlatform = tenantId === PLATFORM_TENANT_ID;
  const role = asked ?? (isPlatform ? 'operator' : 'member');
  if (isPlatform === (role === 'operator')) return role;
  throw new AppError('request.invalid', {
    field: 'input.role',
    message: `input.role: people of ${isPlatform ? 'the platform are operators' : 'a tenant are owners or members'}.`,
  });
}

/** Who administers a tenant; there is always at least one. */
export function isAdministrator(person: Pick<Person, 'role'>): boolean {
  return person.role !== 'member';
}

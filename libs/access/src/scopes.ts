/**
 * What a credential may be used for. `operator` is held by the people who run the platform and covers
 * every tenant; the others are about the tenant of the principal alone.
 */
export const SCOPES = [
  'infer',
  'models.read',
  'models.manage',
  'usage.read',
  'invoices.read',
  'subscriptions.manage',
  'api-keys.read',
  'api-keys.manage',
  'people.read',
  'people.manage',
  'tenant.read',
  'operator',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Scopes that an API key may be given. People and keys are managed by people. */
export const API_KEY_SCOPES = ['infer', 'models.read', 'usage.read', 'invoices.read'] as const satisfies readonly Scope[];
/** Scopes of a key that names none. */
export const DEFAULT_API_KEY_SCOPES: readonly Scope[] = ['infer', 'models.read', 'usage.read'];

export const ROLES = ['owner', 'member', 'operator'] as const;
/** `owner`: administers the tenant. `member`: uses it. `operator`: runs the platform (only people of the operator's tenant). */
export type Role = (typeof ROLES)[number];

const MEMBER: readonly Scope[] = ['infer', 'models.read', 'usage.read', 'tenant.read', 'people.read', 'api-keys.read'];
const OWNER: readonly Scope[] = [...MEMBER, 'models.manage', 'invoices.read', 'subscriptions.manage', 'api-keys.manage', 'people.manage'];

export const SCOPES_OF_ROLE: Readonly<Record<Role, readonly Scope[]>> = { member: MEMBER, owner: OWNER, operator: [...OWNER, 'operator'] };

export function isScope(value: string): value is Scope {
  return (SCOPES as readonly string[]).includes(value);
}

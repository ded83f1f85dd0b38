import { AppError } from '@weir/kernel';
import type { Scope } from './scopes.ts';

/** Who is asking, as proven by a credential. The tenant of everything that is done comes from here. */
export interface Principal {
  /** `service`: another process of the platform, acting for itself. */
  readonly kind: 'api-key' | 'person' | 'service';
  /** Id of the key, the person or the service's name. */
  readonly id: string;
  readonly tenantId: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** The tenant that services act in when they act for themselves. */
export const PLATFORM_TENANT_ID = 'platform';

/** @throws access.forbidden when the principal lacks the scope */
export function authorise(principal: Principal, scope: Scope): void {
  if (!principal.scopes.has(scope)) throw new AppError('access.forbidden', { message: `The credential lacks the scope ${scope}.` });
}

/** May the principal act for the operator, across tenants? */
export function isOperator(principal: Principal): boolean {
  return principal.scopes.has('operator');
}

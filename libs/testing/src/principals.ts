import { PLATFORM_TENANT_ID, SCOPES_OF_ROLE, type Principal, type Scope } from '@weir/access';

export interface PrincipalOptions {
  readonly kind?: Principal['kind'];
  readonly id?: string;
  readonly tenantId?: string;
  /** Default: those of an owner. */
  readonly scopes?: readonly Scope[];
}

/** Somebody who asks: by default a person who owns the tenant `acme`. */
export function aPrincipal(options: PrincipalOptions = {}): Principal {
  return {
    kind: options.kind ?? 'person',
    id: options.id ?? 'person-1',
    tenantId: options.tenantId ?? 'acme',
    scopes: new Set(options.scopes ?? SCOPES_OF_ROLE.owner),
  };
}

/** A person who runs the platform. */
export function anOperator(options: Pick<PrincipalOptions, 'id'> = {}): Principal {
  return aPrincipal({ id: options.id ?? 'operator-1', tenantId: PLATFORM_TENANT_ID, scopes: SCOPES_OF_ROLE.operator });
}

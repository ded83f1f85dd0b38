/** Which tenants' models may share a process. */
export interface TrustClasses {
  /** The class of each tenant that is named. */
  readonly named: ReadonlyMap<string, string>;
  /** The class of all others, or null: each has one of its own. */
  readonly others: string | null;
}

/**
 * Reads the setting: groups of tenant ids joined by `+`; `*` stands for every tenant that is in no other group. Without
 * any, no two tenants share a process.
 */
export function parseTrustClasses(groups: readonly string[]): TrustClasses {
  const named = new Map<string, string>();
  let others: string | null = null;
  for (const group of groups) {
    const tenants = group.split('+').map((tenant) => tenant.trim());
    for (const tenant of tenants) {
      if (tenant === '*') others = group;
      else named.set(tenant, group);
    }
  }
  return { named, others };
}

/** The class of a tenant's models. */
export function trustClassOf(tenantId: string, { named, others }: TrustClasses): string {
  return named.get(tenantId) ?? others ?? tenantId;
}

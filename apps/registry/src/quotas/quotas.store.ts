import { PLATFORM_TENANT_ID } from '@weir/access';
import type { RegistryTransaction } from '../registry-database.ts';
import { NO_QUOTAS, type Quotas, type SetModelQuotas } from './quota.ts';

/** A file takes a block of the disk at least; without this a tenant could keep millions of empty ones. */
const MIN_FILE_BYTES = 4_096;

/** Makes what is decided by a tenant's quotas wait for its turn until the transaction ends. */
export async function lockQuotas(tx: RegistryTransaction, tenantId: string): Promise<void> {
  await tx.$executeRawUnsafe(`select pg_advisory_xact_lock(hashtextextended('registry.quotas ' || $1, 13))`, tenantId);
}

/** Quotas of a tenant: set by the operator, else `defaults`; the platform's own tenant has no quotas. */
export async function allowedQuotas(tx: RegistryTransaction, tenantId: string, defaults: Quotas): Promise<Quotas> {
  const row = await tx.tenantQuotaRow.findUnique({ where: { tenantId } });
  return tenantId === PLATFORM_TENANT_ID ? NO_QUOTAS : merged(row, defaults);
}

/** Memory quotas of those tenants whose operator set one. */
export async function memoryQuotas(tx: RegistryTransaction): Promise<ReadonlyMap<string, number>> {
  const rows = await tx.tenantQuotaRow.findMany({ where: { memoryBytes: { not: null } }, select: { tenantId: true, memoryBytes: true } });
  return new Map(rows.map(({ tenantId, memoryBytes }) => [tenantId, Number(memoryBytes)]));
}

/** Null restores the default; what is not named stays. */
export async function saveQuotas(tx: RegistryTransaction, { tenantId, ...quotas }: SetModelQuotas, updatedAt: Date): Promise<void> {
  const data = {
    ...(quotas.artifactBytes === undefined ? {} : { artifactBytes: bigint(quotas.artifactBytes) }),
    ...(quotas.versions === undefined ? {} : { versions: quotas.versions }),
    ...(quotas.memoryBytes === undefined ? {} : { memoryBytes: bigint(quotas.memoryBytes) }),
    updatedAt,
  };
  await tx.tenantQuotaRow.upsert({ where: { tenantId }, create: { tenantId, ...data }, update: data });
}

/** Bytes of the files that a tenant holds. */
export async function usedArtifactBytes(tx: RegistryTransaction, tenantId: string): Promise<number> {
  const rows = await tx.$queryRawUnsafe<{ used: bigint }[]>(
    `select coalesce(sum(greatest(size_bytes, ${MIN_FILE_BYTES})), 0)::bigint as used
     from artifact_holders join artifacts using (sha256) where tenant_id = $1`,
    tenantId,
  );
  return Number(rows[0]?.used ?? 0);
}

export async function usedVersions(tx: RegistryTransaction, tenantId: string): Promise<number> {
  return tx.modelVersionRow.count({ where: { tenantId } });
}

function merged(
  row: { artifactBytes: bigint | null; versions: number | null; memoryBytes: bigint | null } | null,
  defaults: Quotas,
): Quotas {
  return {
    artifactBytes: Number(row?.artifactBytes ?? defaults.artifactBytes),
    versions: row?.versions ?? defaults.versions,
    memoryBytes: Number(row?.memoryBytes ?? defaults.memoryBytes),
  };
}

function bigint(value: number | null): bigint | null {
  return value === null ? null : BigInt(value);
}

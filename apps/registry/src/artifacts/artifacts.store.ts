import type { RegistryTransaction } from '../registry-database.ts';

/** Notes that a content is in the store and that the tenant has it. */
export async function insertHolder(
  tx: RegistryTransaction,
  tenantId: string,
  sha256: string,
  sizeBytes: number,
  createdAt: Date,
): Promise<void> {
  await tx.artifactRow.createMany({ data: [{ sha256, sizeBytes: BigInt(sizeBytes), createdAt }], skipDuplicates: true });
  await tx.artifactHolderRow.createMany({ data: [{ tenantId, sha256, createdAt }], skipDuplicates: true });
}

/** Sizes in bytes of those contents that the tenant has uploaded. */
export async function heldSizes(tx: RegistryTransaction, tenantId: string, digests: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx.artifactHolderRow.findMany({ where: { tenantId, sha256: { in: [...digests] } }, include: { artifact: true } });
  return new Map(rows.map((row) => [row.sha256, Number(row.artifact.sizeBytes)]));
}

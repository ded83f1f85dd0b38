import type { BackEnd, Task } from '@weir/contracts';
import { taskSchema } from '@weir/contracts';
import type { RegistryTransaction } from '../registry-database.ts';
import { backEndOf } from '../versions/versions.store.ts';
import type { DeployedVersion, Placement } from './placement.ts';
import { reservedBytes } from './reserved-memory.ts';

/** A version that some alias points to, with what a worker has to know of it. */
export interface PlaceableVersion extends DeployedVersion {
  /** What runs it, and where. */
  readonly runs: BackEnd;
  readonly modelId: string;
  readonly model: string;
  readonly version: string;
  readonly task: Task;
  readonly visibility: 'public' | 'private';
}

/** A placement as it was announced. */
export interface AnnouncedPlacement extends Placement {
  readonly tenantId: string;
  readonly artifactsUrl: string;
}

/** Takes the turn to place versions until the transaction ends; false when another process has it. */
export async function takePlacementTurn(tx: RegistryTransaction): Promise<boolean> {
  const rows = await tx.$queryRawUnsafe<{ taken: boolean }[]>(
    `select pg_try_advisory_xact_lock(hashtextextended('registry.placements', 13)) as taken`,
  );
  return rows[0]?.taken === true;
}

export async function deployedVersions(tx: RegistryTransaction): Promise<PlaceableVersion[]> {
  const rows = await tx.modelVersionRow.findMany({
    where: { aliases: { some: {} } },
    include: { model: true, server: true, measured: true },
  });
  return rows.map((row) => {
    const { id, backend, accelerator, server, tenantId, modelId, version, task, model } = row;
    const runs = backEndOf(backend, server);
    return {
      versionId: id,
      isPublic: model.visibility === 'public',
      memoryBytes: reservedOf(row),
      backend: runs.kind,
      accelerator,
      runs,
      tenantId,
      modelId,
      model: model.name,
      version,
      task: taskSchema.parse(task),
      visibility: model.visibility === 'public' ? 'public' : 'private',
    };
  });
}

/** Bytes that are reserved for the versions of the transaction's tenant that are placed, each counted once. */
export async function reservedMemory(tx: RegistryTransaction, tenantId: string): Promise<number> {
  const placements = await tx.placementRow.findMany({ where: { tenantId }, distinct: ['versionId'], select: { versionId: true } });
  const rows = await tx.modelVersionRow.findMany({
    where: { tenantId, id: { in: placements.map(({ versionId }) => versionId) } },
    include: { measured: true },
  });
  return rows.reduce((sum, row) => sum + reservedOf(row), 0);
}

/** Keeps what workers measured of versions, where it is more than what is known. Versions that are not there are passed over. */
export async function keepMeasured(tx: RegistryTransaction, measured: ReadonlyMap<string, number>, measuredAt: Date): Promise<void> {
  if (measured.size === 0) return;
  const rows = await tx.modelVersionRow.findMany({
    where: { id: { in: [...measured.keys()] } },
    select: { id: true, tenantId: true, measured: { select: { memoryBytes: true } } },
  });
  for (const { id: versionId, tenantId, measured: known } of rows) {
    const memoryBytes = BigInt(measured.get(versionId) ?? 0);
    if (known !== null && known.memoryBytes >= memoryBytes) continue;
    const data = { memoryBytes, measuredAt };
    await tx.versionMemoryRow.upsert({ where: { versionId }, create: { versionId, tenantId, ...data }, update: data });
  }
}

function reservedOf(row: {
  readonly memoryBytes: bigint | null;
  readonly sizeBytes: bigint;
  readonly accelerator: string | null;
  readonly measured: { readonly memoryBytes: bigint } | null;
}): number {
  return reservedBytes({
    declaredBytes: row.memoryBytes === null ? null : Number(row.memoryBytes),
    fileBytes: Number(row.sizeBytes),
    measuredBytes: row.measured === null ? null : Number(row.measured.memoryBytes),
    accelerator: row.accelerator,
  });
}

export async function allPlacements(tx: RegistryTransaction): Promise<AnnouncedPlacement[]> {
  return tx.placementRow.findMany({ select: { workerId: true, versionId: true, tenantId: true, artifactsUrl: true } });
}

export async function savePlacement(tx: RegistryTransaction, placement: AnnouncedPlacement, createdAt: Date): Promise<void> {
  const { workerId, versionId, artifactsUrl } = placement;
  await tx.placementRow.upsert({
    where: { workerId_versionId: { workerId, versionId } },
    create: { ...placement, createdAt },
    update: { artifactsUrl },
  });
}

export async function deletePlacement(tx: RegistryTransaction, { workerId, versionId }: Placement): Promise<void> {
  await tx.placementRow.delete({ where: { workerId_versionId: { workerId, versionId } } });
}

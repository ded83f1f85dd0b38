import type { BackEnd, Task } from '@weir/contracts';
import { taskSchema } from '@weir/contracts';
import type { RegistryTransaction } from '../registry-database.ts';
import { backEndOf } from '../versions/versions.store.ts';
import type { DeployedVersion, Placement } from './placement.ts';

/** A version that some alias points to, with what a worker has to know of it. */
export interface PlaceableVersion extends DeployedVersion {
  /** What runs it, and where. */
  readonly runs: BackEnd;
  readonly tenantId: string;
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
  const rows = await tx.modelVersionRow.findMany({ where: { aliases: { some: {} } }, include: { model: true, server: true } });
  return rows.map(({ id, memoryBytes, sizeBytes, backend, accelerator, server, tenantId, modelId, version, task, model }) => {
    const runs = backEndOf(backend, server);
    return {
      versionId: id,
      memoryBytes: Number(memoryBytes ?? sizeBytes),
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

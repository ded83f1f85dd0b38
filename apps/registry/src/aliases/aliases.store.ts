import { deploymentChanged, type DeploymentState } from '@weir/contracts';
import type { Outbox } from '@weir/platform/database';
import type { Model } from '../models/model.ts';
import type { RegistryTransaction } from '../registry-database.ts';

/** Points an alias at a version. */
export async function saveAlias(tx: RegistryTransaction, model: Model, alias: string, versionId: string, updatedAt: Date): Promise<void> {
  const where = { modelId_alias: { modelId: model.id, alias } };
  await tx.modelAliasRow.upsert({
    where,
    create: { tenantId: model.tenantId, modelId: model.id, alias, versionId, updatedAt },
    update: { versionId, updatedAt },
  });
}

/** @returns what the alias was, or null when there was none */
export async function deleteAlias(tx: RegistryTransaction, model: Model, alias: string): Promise<DeploymentState | null> {
  const where = { modelId_alias: { modelId: model.id, alias } };
  const row = await tx.modelAliasRow.findUnique({ where, include: { version: true } });
  if (row === null) return null;
  await tx.modelAliasRow.delete({ where });
  return deploymentOf(model, row);
}

/** Tells where the aliases of a model point: all of them, or one. */
export async function announceDeployments(tx: RegistryTransaction, outbox: Outbox, model: Model, alias?: string): Promise<void> {
  const rows = await tx.modelAliasRow.findMany({
    where: { modelId: model.id, ...(alias === undefined ? {} : { alias }) },
    include: { version: true },
    orderBy: { alias: 'asc' },
  });
  for (const row of rows) await outbox.publish(tx, deploymentChanged, deploymentOf(model, row), { tenant: model.tenantId });
}

/** Tells that an alias points nowhere any more. */
export async function withdrawDeployment(tx: RegistryTransaction, outbox: Outbox, deployment: DeploymentState): Promise<void> {
  await outbox.remove(tx, deploymentChanged, deploymentChanged.key(deployment), { tenant: deployment.ownerTenantId });
}

function deploymentOf(
  model: Model,
  row: { readonly alias: string; readonly versionId: string; readonly version: { readonly version: string } },
): DeploymentState {
  return {
    modelId: model.id,
    model: model.name,
    ownerTenantId: model.tenantId,
    visibility: model.visibility,
    task: model.task,
    alias: row.alias,
    versionId: row.versionId,
    version: row.version.version,
  };
}

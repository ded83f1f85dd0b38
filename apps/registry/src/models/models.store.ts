import { taskSchema, type Task } from '@weir/contracts';
import type { PageRequest } from '@weir/platform/graphql';
import type { Prisma } from '../generated/prisma/client.ts';
import type { RegistryTransaction } from '../registry-database.ts';
import { DEFAULT_ALIAS, type ModelVersion } from '../versions/model-version.ts';
import { toModelVersion, type ModelVersionRow } from '../versions/versions.store.ts';
import type { Model, ModelView } from './model.ts';

type Row = Omit<Model, 'task' | 'visibility'> & { readonly task: string; readonly visibility: string };
type AliasRow = { readonly alias: string; readonly versionId: string; readonly updatedAt: Date; readonly version: ModelVersionRow };

export function toModel(row: Row): Model {
  const { id, tenantId, name, displayName, description, licence, tags, createdAt, updatedAt } = row;
  return {
    id,
    tenantId,
    name,
    displayName,
    description,
    licence,
    tags,
    createdAt,
    updatedAt,
    task: taskSchema.parse(row.task),
    visibility: row.visibility === 'public' ? 'public' : 'private',
  };
}

const WITH_CURRENT = {
  aliases: { include: { version: true }, orderBy: { alias: 'asc' } },
  versions: { orderBy: [{ publishedAt: 'desc' }, { id: 'desc' }], take: 1 },
} satisfies Prisma.ModelRowInclude;

function toView(row: Row & { readonly aliases: readonly AliasRow[]; readonly versions: readonly ModelVersionRow[] }): ModelView | null {
  const version = row.aliases.find((alias) => alias.alias === DEFAULT_ALIAS)?.version ?? row.versions[0];
  if (version === undefined) return null;
  const current: ModelVersion = toModelVersion(version);
  return {
    ...toModel(row),
    current,
    aliases: row.aliases.map(({ alias, versionId, updatedAt, version: { version: name } }) => ({
      alias,
      versionId,
      updatedAt,
      version: name,
    })),
  };
}

export interface ModelFilter {
  /** Stands in the name, the name for people, the description, or is a tag. */
  readonly search: string | null;
  readonly task: Task | null;
  /** It has every one of these; empty asks for none. */
  readonly tags: readonly string[];
}

/** Models that the transaction's tenant may see, by name. */
export async function listModels(tx: RegistryTransaction, filter: ModelFilter, page: PageRequest): Promise<ModelView[]> {
  const { search, task, tags } = filter;
  const contains = { contains: search === null ? '' : search.replaceAll(/[\\%_]/g, '\\$&'), mode: 'insensitive' } as const;
  const rows = await tx.modelRow.findMany({
    where: {
      name: { gt: page.after?.[0] ?? '' },
      ...(task === null ? {} : { task }),
      ...(tags.length === 0 ? {} : { tags: { hasEvery: [...tags] } }),
      ...(search === null
        ? {}
        : { OR: [{ name: contains }, { displayName: contains }, { description: contains }, { tags: { has: search.toLowerCase() } }] }),
    },
    orderBy: { name: 'asc' },
    take: page.take,
    include: WITH_CURRENT,
  });
  return rows.map(toView).filter((model) => model !== null);
}

/** The model of this name, when the transaction's tenant may see it. */
export async function findModel(tx: RegistryTransaction, name: string): Promise<ModelView | null> {
  const row = await tx.modelRow.findUnique({ where: { name }, include: WITH_CURRENT });
  return row === null ? null : toView(row);
}

/** Writes a model, or what the newest version says of it; its id, owner, name and first day stay. */
export async function saveModel(tx: RegistryTransaction, model: Model): Promise<void> {
  const { displayName, description, task, licence, visibility, updatedAt } = model;
  const tags = [...model.tags];
  await tx.modelRow.upsert({
    where: { id: model.id },
    create: { ...model, tags },
    update: { displayName, description, task, licence, visibility, tags, updatedAt },
  });
}

/** One after the other for each name: those who publish the same model, or point its aliases. Held until the transaction ends. */
export async function lockModelName(tx: RegistryTransaction, name: string): Promise<void> {
  await tx.$queryRawUnsafe('select pg_advisory_xact_lock(hashtextextended($1, 11)) is null as locked', `model ${name}`);
}

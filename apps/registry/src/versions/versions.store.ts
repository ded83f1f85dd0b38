import {
  backEndKindSchema,
  backEndSchema,
  remoteBackEndSchema,
  taskSchema,
  type BackEnd,
  type PackageFile,
  type RemoteBackEnd,
} from '@weir/contracts';
import type { PageRequest } from '@weir/platform/graphql';
import { z } from 'zod';
import type { RegistryTransaction } from '../registry-database.ts';
import { networksSchema } from './model-network.ts';
import type { ModelVersion, NewModelVersion } from './model-version.ts';
import { exampleRecordSchema, type ModelExample, type ModelMetric } from './package-metadata.ts';

/** A version as the database has it. */
export type ModelVersionRow = Omit<ModelVersion, 'sizeBytes' | 'task' | 'metrics' | 'examples' | 'backend' | 'networks'> & {
  readonly sizeBytes: bigint;
  readonly task: string;
  readonly backend: string;
  readonly metrics: unknown;
  readonly examples: unknown;
  readonly networks: unknown;
};

const metricsSchema: z.ZodType<ModelMetric[]> = z.array(
  z.object({
    name: z.string(),
    value: z.number(),
    dataset: z.string().nullable(),
    split: z.string().nullable(),
    items: z.number().nullable(),
  }),
);
/** Null where a version was published before examples had the field. */
const nullable = <S extends z.ZodType>(schema: S) => schema.nullable().default(null);
const examplesSchema: z.ZodType<ModelExample[], unknown> = z.array(
  z.object({
    text: z.string().nullable(),
    imageBase64: z.string().nullable(),
    audioBase64: nullable(z.string()),
    record: nullable(exampleRecordSchema),
    user: nullable(z.string()),
    seed: nullable(z.int()),
    requestJson: nullable(z.string()),
    expectedLabel: z.string().nullable(),
  }),
);

export function toModelVersion(row: ModelVersionRow): ModelVersion {
  const { id, modelId, tenantId, version, digest, licence, labels, publishedBy, publishedAt } = row;
  return {
    id,
    modelId,
    tenantId,
    version,
    digest,
    licence,
    labels,
    publishedBy,
    publishedAt,
    sizeBytes: Number(row.sizeBytes),
    task: taskSchema.parse(row.task),
    metrics: metricsSchema.parse(row.metrics),
    examples: examplesSchema.parse(row.examples),
    backend: backEndKindSchema.parse(row.backend),
    networks: networksSchema.parse(row.networks),
  };
}

interface ServerRow {
  readonly url: string;
  readonly model: string;
  readonly version: string | null;
  readonly secretName: string | null;
}

/** What runs a version, as the database has it: the kind, and the server where it is not a worker itself. */
export function backEndOf(kind: string, server: ServerRow | null): BackEnd {
  if (server === null) return backEndSchema.parse({ kind });
  const { url, model, version, secretName } = server;
  return backEndSchema.parse({ kind, url, model, version: version ?? undefined, secret: secretName ?? undefined });
}

/** The server that runs a version of the transaction's tenant; null for a version that workers run themselves. */
export async function findServer(tx: RegistryTransaction, versionId: string): Promise<RemoteBackEnd | null> {
  const row = await tx.versionServerRow.findUnique({ where: { versionId }, include: { modelVersion: true } });
  return row === null ? null : remoteBackEndSchema.parse(backEndOf(row.modelVersion.backend, row));
}

export async function findVersion(tx: RegistryTransaction, modelId: string, version: string): Promise<ModelVersion | null> {
  const row = await tx.modelVersionRow.findUnique({ where: { modelId_version: { modelId, version } } });
  return row === null ? null : toModelVersion(row);
}

/** Versions of a model, newest first. */
export async function listVersions(tx: RegistryTransaction, modelId: string, page: PageRequest): Promise<ModelVersion[]> {
  const [publishedAt, id] = page.after ?? [];
  const before = publishedAt === undefined ? null : new Date(publishedAt);
  const rows = await tx.modelVersionRow.findMany({
    where: {
      modelId,
      ...(before === null ? {} : { OR: [{ publishedAt: { lt: before } }, { publishedAt: before, id: { lt: id ?? '' } }] }),
    },
    orderBy: [{ publishedAt: 'desc' }, { id: 'desc' }],
    take: page.take,
  });
  return rows.map(toModelVersion);
}

export async function insertVersion(tx: RegistryTransaction, version: NewModelVersion): Promise<void> {
  const { files, sizeBytes, memoryBytes, labels, metrics, examples, networks, runs, ...rest } = version;
  await tx.modelVersionRow.create({
    data: {
      ...rest,
      backend: runs.kind,
      memoryBytes: memoryBytes === null ? null : BigInt(memoryBytes),
      sizeBytes: BigInt(sizeBytes),
      labels: [...labels],
      metrics: metrics.map((metric) => ({ ...metric })),
      examples: examples.map((example) => ({ ...example })),
      networks: networks.map((network) => ({ ...network })),
    },
  });
  await tx.versionFileRow.createMany({
    data: files.map((file) => ({
      versionId: version.id,
      tenantId: version.tenantId,
      path: file.path,
      sha256: file.sha256,
      sizeBytes: BigInt(file.sizeBytes),
    })),
  });
  if (runs.kind === 'onnxruntime') return;
  const { url, model, secret } = runs;
  await tx.versionServerRow.create({
    data: {
      versionId: version.id,
      tenantId: version.tenantId,
      url,
      model,
      version: runs.kind === 'open-inference' ? (runs.version ?? null) : null,
      secretName: secret ?? null,
    },
  });
}

/** The files of some versions, by version. */
export async function filesOf(tx: RegistryTransaction, versionIds: readonly string[]): Promise<Map<string, PackageFile[]>> {
  const rows = await tx.versionFileRow.findMany({ where: { versionId: { in: [...versionIds] } }, orderBy: { path: 'asc' } });
  const files = new Map<string, PackageFile[]>();
  for (const { versionId, path, sha256, sizeBytes } of rows)
    files.set(versionId, [...(files.get(versionId) ?? []), { path, sha256, sizeBytes: Number(sizeBytes) }]);
  return files;
}

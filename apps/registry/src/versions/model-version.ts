import { modelName, packageFileSchema, taskSchema, type BackEnd, type BackEndKind, type PackageFile, type Task } from '@weir/contracts';
import { z } from 'zod';
import { displayText, licenceText, paragraphText, tagText } from '../texts.ts';
import type { ModelNetwork } from './model-network.ts';
import type { ModelExample, ModelMetric } from './package-metadata.ts';

/** A published version. Never changed. */
export interface ModelVersion {
  readonly id: string;
  readonly modelId: string;
  readonly tenantId: string;
  readonly version: string;
  /** SHA-256 of the package: two versions with the same files have the same. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly task: Task;
  /** Under which it was published; null where none was named, and for versions published before it was noted. */
  readonly licence: string | null;
  readonly labels: readonly string[];
  readonly metrics: readonly ModelMetric[];
  readonly examples: readonly ModelExample[];
  /** What runs it. */
  readonly backend: BackEndKind;
  /** The networks that it runs; empty where another server runs it, and for versions published before they were read. */
  readonly networks: readonly ModelNetwork[];
  /** Id of the person or service that published it. */
  readonly publishedBy: string;
  readonly publishedAt: Date;
}

export const visibilities = ['public', 'private'] as const;
export type Visibility = (typeof visibilities)[number];

export const modelNameSchema = modelName;
export const aliasSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits and hyphens, beginning with a letter');
export const versionNameSchema = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/, 'must be 1 to 64 letters, digits, ".", "-" and "_", such as 1.0.0');
/** The alias that callers mean when they name none. */
export const DEFAULT_ALIAS = 'production';

export const MAX_PACKAGE_FILES = 1_000;

export const publishModelVersionSchema = z.object({
  name: modelNameSchema,
  version: versionNameSchema,
  task: taskSchema.nullish(),
  displayName: displayText.nullish(),
  description: paragraphText.nullish(),
  licence: licenceText.nullish(),
  visibility: z.enum(visibilities),
  tags: z.array(tagText).max(20).nullish(),
  files: z.array(packageFileSchema).min(1).max(MAX_PACKAGE_FILES),
  alias: aliasSchema.nullish(),
});
export type PublishModelVersion = z.infer<typeof publishModelVersionSchema>;

/** A version as it is about to be kept. */
export interface NewModelVersion extends Omit<ModelVersion, 'backend'> {
  /** None where another server runs it. */
  readonly files: readonly PackageFile[];
  /** What runs it, and where. */
  readonly runs: BackEnd;
  /** The execution provider that it asks for; null takes any. */
  readonly accelerator: string | null;
  /** Memory that it asks for; null: the size of its files. */
  readonly memoryBytes: number | null;
}

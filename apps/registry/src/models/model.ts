import type { Task } from '@weir/contracts';
import type { ModelVersion, Visibility } from '../versions/model-version.ts';

/** Something that can be called by its name. What describes it is that of the last published version. */
export interface Model {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly task: Task;
  readonly licence: string | null;
  readonly visibility: Visibility;
  readonly tags: readonly string[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Where an alias of a model points. */
export interface ModelAlias {
  readonly alias: string;
  readonly versionId: string;
  readonly version: string;
  readonly updatedAt: Date;
}

/** A model with what a caller wants to see beside it. */
export interface ModelView extends Model {
  readonly aliases: readonly ModelAlias[];
  /** The version that `production` points to, or else the newest one. */
  readonly current: ModelVersion;
}

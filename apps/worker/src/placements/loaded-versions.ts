import { AppError } from '@weir/kernel';
import type { RunnableVersion } from '../tasks/task.ts';

/** A version that can be called. */
export interface LoadedVersion extends RunnableVersion {
  readonly modelId: string;
  /** As callers write it in the address, such as `1.0.0`. */
  readonly version: string;
}

/** The versions that this worker can run now, by the names under which they are called. */
export class LoadedVersions {
  /** By model, each model's versions in the order in which they were loaded. */
  readonly #models = new Map<string, Map<string, LoadedVersion>>();

  add(loaded: LoadedVersion): void {
    const versions = this.#models.get(loaded.modelId) ?? new Map<string, LoadedVersion>();
    versions.delete(loaded.version);
    versions.set(loaded.version, loaded);
    this.#models.set(loaded.modelId, versions);
  }

  remove(modelId: string, version: string): void {
    const versions = this.#models.get(modelId);
    versions?.delete(version);
    if (versions?.size === 0) this.#models.delete(modelId);
  }

  /**
   * @param version without it the one that was loaded last
   * @throws model.not_found when this worker does not have it
   */
  get(modelId: string, version?: string): LoadedVersion {
    const versions = this.#models.get(modelId);
    const found = version === undefined ? [...(versions?.values() ?? [])].at(-1) : versions?.get(version);
    if (found === undefined) throw new AppError('model.not_found', { message: 'This worker has no such model or version.' });
    return found;
  }

  versionsOf(modelId: string): string[] {
    return [...(this.#models.get(modelId)?.keys() ?? [])];
  }
}

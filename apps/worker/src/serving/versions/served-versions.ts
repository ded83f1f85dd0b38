import { AppError } from '@weir/kernel';
import { NOT_FOUND } from '../../open-inference/guard.ts';
import type { ServedVersion } from './served-version.ts';
import type { VersionStatistics } from '../../statistics/version-statistics.ts';

/** A version that calls are taken for. */
export interface ServedEntry {
  readonly served: ServedVersion;
  readonly statistics: VersionStatistics;
  /** As measured when it was last loaded; 0 while it is not in memory. */
  memoryBytes: number;
}

/** What this process serves, by the registry's model id and version. */
export class ServedVersions {
  readonly #byId = new Map<string, ServedEntry>();
  readonly #models = new Map<string, Map<string, ServedEntry>>();

  add(entry: ServedEntry): void {
    const { versionId, modelId, version } = entry.served.placed;
    this.#byId.set(versionId, entry);
    const versions = this.#models.get(modelId) ?? new Map<string, ServedEntry>();
    versions.delete(version);
    versions.set(version, entry);
    this.#models.set(modelId, versions);
  }

  /** Takes it out and answers with it; undefined when there is none. */
  remove(versionId: string): ServedEntry | undefined {
    const entry = this.#byId.get(versionId);
    if (entry === undefined) return undefined;
    const { modelId, version } = entry.served.placed;
    this.#byId.delete(versionId);
    const versions = this.#models.get(modelId);
    if (versions?.get(version) === entry) versions.delete(version);
    if (versions?.size === 0) this.#models.delete(modelId);
    return entry;
  }

  byId(versionId: string): ServedEntry | undefined {
    return this.#byId.get(versionId);
  }

  /**
   * @param version without it the one that was placed last
   * @throws model.not_found when this process does not serve it
   */
  get(modelId: string, version?: string): ServedEntry {
    const versions = this.#models.get(modelId);
    const found = version === undefined ? [...(versions?.values() ?? [])].at(-1) : versions?.get(version);
    if (found === undefined) throw new AppError('model.not_found', { message: NOT_FOUND });
    return found;
  }

  versionsOf(modelId: string): string[] {
    return [...(this.#models.get(modelId)?.keys() ?? [])];
  }

  all(): ServedEntry[] {
    return [...this.#byId.values()];
  }
}

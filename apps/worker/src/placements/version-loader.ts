import type { InternalTokenSigner } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { artifactsAt } from '../packages/artifact-client.ts';
import { moveLargeWeightsOut } from '../packages/large-weights.ts';
import type { HeldPackage, PackageStore } from '../packages/package-store.ts';
import type { RemoteVersions } from '../remote/remote-versions.ts';
import { letRead } from '../serving-processes/serving-accounts.ts';
import type { ServingFleet } from '../serving-processes/serving-fleet.ts';

/** A version that calls are taken for, with its files held on disk; null where another server runs it. */
export interface HeldVersion {
  readonly versionId: string;
  readonly held: HeldPackage | null;
}

export interface VersionLoaderOptions {
  readonly packages: Pick<PackageStore, 'hold'>;
  readonly fleet: Pick<ServingFleet, 'place' | 'update' | 'remove' | 'accountOf'>;
  readonly remote: Pick<RemoteVersions, 'place' | 'update' | 'remove'>;
  readonly signer: InternalTokenSigner;
}

/** Brings a placed version from the registry to a serving process, or makes calls go to the server that runs it, and takes it out again. */
export class VersionLoader {
  readonly #options: VersionLoaderOptions;
  /** The last package that is put on disk: one after the other, because each may make room for itself. */
  #fetching: Promise<unknown> = Promise.resolve();

  constructor(options: VersionLoaderOptions) {
    this.#options = options;
  }

  /** @throws AppError of a retryable kind when trying again can help, of another when the package is at fault */
  async load(placement: PlacementState, signal: AbortSignal): Promise<HeldVersion> {
    const { fleet, remote } = this.#options;
    const { versionId, modelId, model, version, task, files, ownerTenantId, visibility, backend } = placement;
    if (backend !== undefined && backend.kind !== 'onnxruntime') {
      await remote.place(placement, backend);
      return { versionId, held: null };
    }
    const fetched = this.#fetching.then(() => this.#fetch(placement, signal));
    this.#fetching = fetched.catch(() => undefined);
    const held = await fetched;
    try {
      const placed = { versionId, modelId, model, version, ownerTenantId, visibility, task, files: [...files], directory: held.directory };
      await unlessAborted(fleet.place(placed, networkBytes(placement)), signal);
      return { versionId, held };
    } catch (error) {
      await fleet.remove(versionId, { isForgiven: false });
      held.release();
      throw error;
    }
  }

  async #fetch({ files, artifactsUrl, ownerTenantId }: PlacementState, signal: AbortSignal): Promise<HeldPackage> {
    signal.throwIfAborted();
    const { packages, signer, fleet } = this.#options;
    const account = fleet.accountOf(ownerTenantId);
    const held = await packages.hold(files, artifactsAt(artifactsUrl, signer), signal, account?.gid);
    try {
      await moveLargeWeightsOut(held.directory, files);
      if (account !== null) await letRead(account, held.directory);
      return held;
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** Passes on what may change of a placement while its version stays loaded: the visibility of its model. */
  update(placement: PlacementState): void {
    this.#options.fleet.update(placement.versionId, placement.visibility);
    this.#options.remote.update(placement);
  }

  async unload({ versionId, held }: HeldVersion): Promise<void> {
    if (held === null) {
      this.#options.remote.remove(versionId);
      return;
    }
    await this.#options.fleet.remove(versionId);
    held.release();
  }
}

/** What the networks of a package take in memory at least: their files. */
function networkBytes({ files }: PlacementState): number {
  return files
    .filter((file) => /\.(onnx|onnx_data|onnx\.data|data|bin)(_\d+)?$/.test(file.path))
    .reduce((sum, file) => sum + file.sizeBytes, 0);
}

/** A worker that stops does not wait for a model that loads. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(new AppError('service.stopping'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

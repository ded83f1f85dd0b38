import type { InternalTokenSigner } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { artifactsAt } from '../packages/artifact-client.ts';
import { readModelPackage } from '../packages/model-package.ts';
import type { HeldPackage, PackageStore } from '../packages/package-store.ts';
import type { ModelRuntime } from '../runtime/model-runtime.ts';
import { assertTaskFits } from '../tasks/classifier.ts';
import { signatureOf } from '../tasks/signature.ts';
import type { LoadedVersion } from './loaded-versions.ts';

/** A version in memory, with its files held on disk. */
export interface HeldVersion {
  readonly loaded: LoadedVersion;
  readonly held: HeldPackage;
}

export interface VersionLoaderOptions {
  readonly packages: Pick<PackageStore, 'hold'>;
  readonly runtime: Pick<ModelRuntime, 'load' | 'unload'>;
  readonly signer: InternalTokenSigner;
  /** Bytes of model files that may be loaded at once. */
  readonly memoryBytes: number;
}

/** Brings a placed version from the registry into memory, and out again. One at a time. */
export class VersionLoader {
  readonly #options: VersionLoaderOptions;
  #loadedBytes = 0;

  constructor(options: VersionLoaderOptions) {
    this.#options = options;
  }

  /** @throws AppError of a retryable kind when trying again can help, of another when the package is at fault */
  async load(placement: PlacementState, signal: AbortSignal): Promise<HeldVersion> {
    const { packages, runtime, signer, memoryBytes } = this.#options;
    const sizeBytes = placement.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    const leftBytes = memoryBytes - this.#loadedBytes;
    if (sizeBytes > leftBytes) {
      // What is too large for the whole worker stays so; what lacks room only now gets it when another version is unloaded.
      throw new AppError(sizeBytes > memoryBytes ? 'model.package_invalid' : 'worker.overloaded', {
        message: `The package needs ${sizeBytes} bytes of memory; the worker has ${leftBytes} left.`,
      });
    }
    const held = await packages.hold(placement.files, artifactsAt(placement.artifactsUrl, signer), signal);
    try {
      const modelPackage = await readModelPackage(held.directory, placement.files, placement.task);
      const { versionId, modelId, version } = placement;
      const found = await runtime.load(versionId, modelPackage.modelFile, modelPackage.text);
      try {
        const signature = signatureOf(found);
        assertTaskFits(modelPackage, signature);
        this.#loadedBytes += held.sizeBytes;
        return { held, loaded: { versionId, modelId, version, modelPackage, signature } };
      } catch (error) {
        // ONNX Runtime has it, but nobody could ever run it.
        await runtime.unload(versionId);
        throw error;
      }
    } catch (error) {
      held.release();
      throw error;
    }
  }

  async unload({ loaded, held }: HeldVersion): Promise<void> {
    await this.#options.runtime.unload(loaded.versionId);
    this.#loadedBytes -= held.sizeBytes;
    held.release();
  }
}

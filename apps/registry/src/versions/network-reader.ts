import { Inject, Injectable } from '@nestjs/common';
import type { PackageFile, Task, WeirFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { assertLoadable, readOnnxModel } from '@weir/onnx';
import { ArtifactStore } from '../artifacts/artifact-store.ts';
import { describeNetwork, type ModelNetwork } from './model-network.ts';
import { networksOf } from './version-package.ts';

/** Packages that may wait for their turn. Each is read in well under a second. */
const MAX_WAITING = 64;

/** Looks into the networks of packages, without running them. */
@Injectable()
export class NetworkReader {
  readonly #artifacts: ArtifactStore;
  /** One after the other: a file that is made for it can take 256 MiB of memory while it is read. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(@Inject(ArtifactStore) artifacts: ArtifactStore) {
    this.#artifacts = artifacts;
  }

  /**
   * What the networks of a package say of themselves.
   *
   * @param files of the package; those that its task needs are there
   * @throws model.package_invalid on the file that cannot be read or must not be loaded, naming it
   * @throws service.unavailable   too many packages wait
   */
  async read(task: Task, files: readonly PackageFile[], weir: WeirFile): Promise<ModelNetwork[]> {
    if (this.#waiting === MAX_WAITING)
      throw new AppError('service.unavailable', { message: 'Too many models are published at once.', retryAfterMs: 1_000 });
    this.#waiting++;
    const reading = this.#last.then(() => this.#read(task, files, weir));
    this.#last = reading.catch(() => undefined);
    try {
      return await reading;
    } finally {
      this.#waiting--;
    }
  }

  async #read(task: Task, files: readonly PackageFile[], weir: WeirFile): Promise<ModelNetwork[]> {
    const networks: ModelNetwork[] = [];
    for (const [role, path] of networksOf(task, new Set(files.map((file) => file.path)), weir)) {
      const index = files.findIndex((file) => file.path === path);
      const source = await this.#artifacts.source(files[index]?.sha256 ?? '');
      try {
        const model = await readOnnxModel(source, path);
        assertLoadable(model, files);
        networks.push(describeNetwork(role, model));
      } catch (error) {
        throw atFile(index, error);
      } finally {
        await source.close();
      }
    }
    return networks;
  }
}

/** The problem at the place of the file in the publisher's input. */
function atFile(index: number, error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'model.package_invalid') return error;
  const field = `input.files[${index}]`;
  return new AppError('model.package_invalid', { field, message: `${field}: ${error.message}.`, cause: error });
}

import { rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { PackageFile } from '@weir/contracts';
import { createFileSink, externaliseWeights, openFileSource } from '@weir/onnx';

/** Below this a network is loaded as it is: what could be saved is less than a thread takes. */
const LARGE_NETWORK_BYTES = 32 * 1_048_576;
/** Weights of this size move; each begins on a page of its own. */
const LARGE_WEIGHT_BYTES = 65_536;

/**
 * Moves the weights of large networks into files beside them: ONNX Runtime maps those, where it holds weights that stand
 * in the model twice. The package's files are replaced in its folder only; what is kept by digest stays as it was fetched.
 *
 * @throws model.package_invalid when a network cannot be read
 */
export async function moveLargeWeightsOut(directory: string, files: readonly PackageFile[]): Promise<void> {
  for (const { path, sizeBytes } of files)
    if (path.endsWith('.onnx') && sizeBytes >= LARGE_NETWORK_BYTES) await moveWeightsOut(join(directory, path), path);
}

async function moveWeightsOut(file: string, path: string): Promise<void> {
  const [newFile, weightsFile] = [`${file}.moved`, `${file}.weights`];
  const source = await openFileSource(file);
  try {
    const [network, weights] = [await createFileSink(newFile), await createFileSink(weightsFile)];
    let moved = 0;
    try {
      ({ tensors: moved } = await externaliseWeights(
        source,
        path,
        { network, weights, weightsFile: basename(weightsFile) },
        LARGE_WEIGHT_BYTES,
      ));
    } finally {
      await Promise.all([network.close(), weights.close()]);
      if (moved === 0) await Promise.all([newFile, weightsFile].map((created) => rm(created, { force: true })));
    }
    if (moved > 0) await rename(newFile, file);
  } finally {
    await source.close();
  }
}

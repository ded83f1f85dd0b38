import { PROCESSED_SIGNATURES, type ModelMetadata } from '@weir/open-inference';
import { MODEL } from '../model-package/model-package.ts';
import { tensorMetadata } from './signature.ts';
import type { TaskVersion } from './task.ts';

/**
 * A version as the protocol describes it: the raw tensors of its network, and beside them under `parameters.processed`
 * what its task takes and gives instead.
 *
 * @param name as the caller names the model
 * @param versions of the model that are served here
 */
export function metadataOf({ modelPackage, signatures, prepared }: TaskVersion, name: string, versions: readonly string[]): ModelMetadata {
  const raw = signatures.get(MODEL);
  const processed = prepared === null ? undefined : PROCESSED_SIGNATURES[modelPackage.task];
  return {
    name,
    versions,
    platform: 'onnxruntime_onnx',
    inputs: (raw?.inputs ?? []).map(tensorMetadata),
    outputs: (raw?.outputs ?? []).map(tensorMetadata),
    parameters: { task: modelPackage.task, ...(processed === undefined ? {} : { processed }) },
  };
}

import { IMAGE_INPUT, LABEL_OUTPUT, SCORE_OUTPUT, TEXT_INPUT, type ModelMetadata, type TensorMetadata } from '@weir/open-inference';
import type { LoadedVersion } from '../placements/loaded-versions.ts';
import { tensorMetadata } from '../tasks/signature.ts';

const PROCESSED_OUTPUTS: readonly TensorMetadata[] = [
  { name: LABEL_OUTPUT, datatype: 'BYTES', shape: [-1, -1] },
  { name: SCORE_OUTPUT, datatype: 'FP32', shape: [-1, -1] },
];

/** A version as the protocol describes it: its raw tensors, and beside them the processed input that its task takes instead. */
export function metadataOf(loaded: LoadedVersion, versions: readonly string[]): ModelMetadata {
  const { modelPackage, signature, modelId } = loaded;
  const processed = modelPackage.text !== null ? TEXT_INPUT : modelPackage.image !== null ? IMAGE_INPUT : null;
  return {
    name: modelId,
    versions,
    platform: 'onnxruntime_onnx',
    inputs: signature.inputs.map(tensorMetadata),
    outputs: signature.outputs.map(tensorMetadata),
    parameters: {
      task: modelPackage.task,
      ...(processed === null
        ? {}
        : { processed: { inputs: [{ name: processed, datatype: 'BYTES', shape: [-1] }], outputs: PROCESSED_OUTPUTS } }),
    },
  };
}

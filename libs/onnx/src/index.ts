export { type ByteSink } from './byte-sink.ts';
export { bufferSource, type ByteSource } from './byte-source.ts';
export { type Datatype, type ElementType } from './element-types.ts';
export { externaliseWeights, type ExternalisedWeights, type ExternalWeightsTarget } from './external-weights.ts';
export { createFileSink, type FileSink } from './file-sink.ts';
export { openFileSource, type FileSource } from './file-source.ts';
export { assertLoadable, type SizedFile } from './loadable.ts';
export * from './onnx-model.ts';
export { readOnnxModel } from './read-onnx-model.ts';

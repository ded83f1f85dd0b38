import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { identityNetwork, type OnnxElementType } from '@weir/testing';
import onnxruntime, { type InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { bufferSource } from './byte-source.ts';
import { openFileSource } from './file-source.ts';
import type { OnnxValue } from './onnx-model.ts';
import { readOnnxModel } from './read-onnx-model.ts';

const MODELS = fileURLToPath(new URL('../../../models', import.meta.url));
const OPTIONS = { intraOpNumThreads: 1, logSeverityLevel: 4 } as const;

/** As ONNX Runtime says it, with its several words for what is free as one. */
function loaded(metadata: readonly InferenceSession.ValueMetadata[]): unknown[] {
  return metadata.map((value) =>
    value.isTensor
      ? [value.name, value.type, value.shape.map((size) => (typeof size === 'string' ? size || null : size > 0 ? size : null))]
      : [value.name],
  );
}

/** ONNX Runtime says no axes where the file leaves open how many there are. */
function read(values: readonly OnnxValue[]): unknown[] {
  return values.map(({ name, elementType, axes }) => (elementType === null ? [name] : [name, elementType.name, axes ?? []]));
}

describe('what a file says of itself is what ONNX Runtime says once it has loaded it', () => {
  it.each(globSync('*/onnx/*.onnx', { cwd: MODELS }))('%s', async (path) => {
    const source = await openFileSource(`${MODELS}/${path}`);
    const model = await readOnnxModel(source, path);
    await source.close();
    const session = await onnxruntime.InferenceSession.create(`${MODELS}/${path}`, OPTIONS);
    expect(read(model.inputs)).toEqual(loaded(session.inputMetadata));
    // The runtime may know more of an output's shape than the file says.
    expect(read(model.outputs).map((value) => (value as unknown[]).slice(0, 2))).toEqual(
      loaded(session.outputMetadata).map((value) => (value as unknown[]).slice(0, 2)),
    );
    await session.release();
  });

  it.each<OnnxElementType>([
    'float32',
    'float64',
    'float16',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'bool',
    'string',
  ])('a tensor of %s', async (type) => {
    const file = identityNetwork({ type, dims: ['batch', 3, null] });
    const session = await onnxruntime.InferenceSession.create(file, OPTIONS);
    expect(read((await readOnnxModel(bufferSource(file), 'model.onnx')).inputs)).toEqual(loaded(session.inputMetadata));
    await session.release();
  });
});

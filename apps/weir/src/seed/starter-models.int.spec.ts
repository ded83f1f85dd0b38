import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { weirFileSchema, type WeirFile } from '@weir/contracts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEMONSTRATION } from './demonstration.ts';
import { packageFilesIn } from './model-package.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const MODELS = path.join(ROOT, 'models');
const FOLDERS = readdirSync(MODELS).filter((name) => existsSync(path.join(MODELS, name, 'weir.json')));

const tensorSchema = z.object({
  name: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  datatype: z.enum(['FP32', 'INT64']),
  data: z.array(z.number()),
});
const exampleSchema = z.looseObject({
  model: z.string(),
  inputs: z.array(tensorSchema).min(1),
  outputs: z.array(tensorSchema).min(1),
  tolerance: z.number().positive().max(0.01),
});

const read = (folder: string, file: string): unknown => JSON.parse(readFileSync(path.join(MODELS, folder, file), 'utf8'));
const weirFile = (folder: string): WeirFile => weirFileSchema.parse(read(folder, 'weir.json'));
/** The files of the package as it is published, and where they lie. */
const published = (folder: string): Map<string, string> =>
  new Map(packageFilesIn(ROOT, path.join('models', folder)).map((file) => [file.path, file.localPath]));

function asTensor({ datatype, data, shape }: z.infer<typeof tensorSchema>): Tensor {
  return datatype === 'INT64'
    ? new Tensor('int64', BigInt64Array.from(data, BigInt), shape)
    : new Tensor('float32', Float32Array.from(data), shape);
}

/** Files that a model names in its `weir.json`, beside the network. */
function filesNamedIn(weir: WeirFile): string[] {
  const { recommendation, reading, examples = [] } = weir;
  return [
    recommendation?.users,
    recommendation?.items,
    recommendation?.seen,
    reading?.detector,
    reading?.recogniser,
    reading?.characters,
    ...examples.flatMap(({ input }) => [input.imageFile, input.audioFile, input.requestFile]),
  ].filter((file) => file !== undefined);
}

describe('a new installation', () => {
  it('starts with every model that lies under models/', () => {
    expect(DEMONSTRATION.models.map((model) => path.basename(model.folder)).toSorted()).toEqual(FOLDERS.toSorted());
  });
});

describe.each(FOLDERS)('the starter model %s', (folder) => {
  it('says what it does, under which licence, how well it was measured, and what to try', () => {
    expect(weirFile(folder)).toMatchObject({
      task: expect.any(String),
      displayName: expect.any(String),
      description: expect.any(String),
      licence: expect.any(String),
      metrics: expect.arrayContaining([expect.objectContaining({ value: expect.any(Number) })]),
      examples: expect.arrayContaining([expect.anything()]),
    });
    expect(readFileSync(path.join(MODELS, folder, 'README.md'), 'utf8')).toContain('## Limits');
  });

  it('has the files that it names', () => {
    const files = published(folder);
    expect(filesNamedIn(weirFile(folder)).filter((file) => !files.has(file))).toEqual([]);
  });

  it('gives the numbers that were measured when it was made', async () => {
    const example = exampleSchema.parse(read(folder, 'example.json'));
    const session = await InferenceSession.create(published(folder).get(example.model) ?? '', { intraOpNumThreads: 1 });
    try {
      const answer = await session.run(Object.fromEntries(example.inputs.map((input) => [input.name, asTensor(input)])));
      for (const { name, shape, data } of example.outputs) {
        expect(answer[name]?.dims).toEqual(shape);
        const values = z.array(z.number()).parse([...(answer[name]?.data ?? [])]);
        expect(Math.max(...values.map((value, at) => Math.abs(value - (data[at] ?? Number.NaN))))).toBeLessThanOrEqual(example.tolerance);
      }
    } finally {
      await session.release();
    }
  });
});

import { link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onnxModel } from '@weir/testing';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { moveLargeWeightsOut } from './large-weights.ts';

const MIB = 1_048_576;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-weights-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** y = x · w with a weight of this many bytes. */
const multiplying = (bytes: number): Buffer =>
  onnxModel({
    inputs: [{ name: 'x', dims: ['n', 4] }],
    outputs: [{ name: 'y', dims: ['n', bytes / 16] }],
    initialisers: [{ name: 'w', dims: [4, bytes / 16], data: Buffer.alloc(bytes, Buffer.from(Float32Array.of(0.5).buffer)) }],
    nodes: [{ operator: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
  });

async function answerOf(file: string): Promise<number | undefined> {
  const session = await InferenceSession.create(file, { logSeverityLevel: 4 });
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [1, 4]) });
  await session.release();
  return (y?.data as Float32Array | undefined)?.[0];
}

it('weights of a large network stand beside it afterwards; the file that was fetched stays as it was', async () => {
  const content = multiplying(40 * MIB);
  const [blob, file] = [join(directory, 'blob'), join(directory, 'model.onnx')];
  await writeFile(blob, content);
  await link(blob, file);
  await moveLargeWeightsOut(directory, [{ path: 'model.onnx', sha256: '', sizeBytes: content.length }]);
  expect((await stat(file)).size).toBeLessThan(MIB);
  expect((await stat(join(directory, 'model.onnx.weights'))).size).toBeGreaterThanOrEqual(40 * MIB);
  expect((await readFile(blob)).equals(content)).toBe(true);
  expect(await answerOf(file)).toBe(5);
});

it('a small network is left alone', async () => {
  const content = multiplying(MIB);
  await writeFile(join(directory, 'model.onnx'), content);
  await moveLargeWeightsOut(directory, [{ path: 'model.onnx', sha256: '', sizeBytes: content.length }]);
  expect(await readdir(directory)).toEqual(['model.onnx']);
});

it('a file that is no network is refused, and nothing is left of the attempt', async () => {
  await writeFile(join(directory, 'model.onnx'), Buffer.alloc(33 * MIB, 7));
  const files = [{ path: 'model.onnx', sha256: '', sizeBytes: 33 * MIB }];
  await expect(moveLargeWeightsOut(directory, files)).rejects.toMatchObject({ code: 'model.package_invalid' });
  expect(await readdir(directory)).toEqual(['model.onnx']);
});

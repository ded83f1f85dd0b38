import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identityNetwork, linearNetwork, onnxModel } from '@weir/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPackage, outputOf, type OpenPackage } from '../task-call.fixture.ts';
import type { TaskAnswer } from '../task.ts';

const starter = (name: string): string => fileURLToPath(new URL(`../../../../../../models/${name}/`, import.meta.url));

let directory: string;
const opened: OpenPackage[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-generation-'));
});

afterAll(async () => {
  for (const one of opened) await one.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(folder: string, task: 'image-generation' | 'image-classification' = 'image-generation'): Promise<OpenPackage> {
  const one = await openPackage(folder, task);
  opened.push(one);
  return one;
}

/** A package whose network gives what it takes, in another shape: the picture is the latent. */
async function aMirror(dims: readonly number[], weir: object): Promise<OpenPackage> {
  const latentSize = dims.reduce((product, size) => product * size, 1);
  const network = onnxModel({
    inputs: [{ name: 'z', dims: ['batch', latentSize] }],
    outputs: [{ name: 'picture', dims: ['batch', ...dims] }],
    nodes: [{ operator: 'Reshape', inputs: ['z', 'shape'], outputs: ['picture'] }],
    initialisers: [{ name: 'shape', type: 'int64', dims: [4], data: [-1, ...dims] }],
  });
  return open(await aPackage(network, { generation: { latentSize, ...weir } }));
}

async function aPackage(network: Buffer, weir: object): Promise<string> {
  const folder = await mkdtemp(join(directory, 'package-'));
  await writeFile(join(folder, 'model.onnx'), network);
  await writeFile(join(folder, 'weir.json'), JSON.stringify(weir));
  return folder;
}

const seeds = (...numbers: number[]) => [{ name: 'seed', datatype: 'INT64' as const, shape: [numbers.length], data: numbers }];
const latents = (shape: number[], data: number[]) => [{ name: 'latent', datatype: 'FP32' as const, shape, data }];

function filesOf(answer: TaskAnswer): Buffer[] {
  const { data } = outputOf(answer, 'image');
  return Array.isArray(data) ? data.map((file) => Buffer.from(file)) : [];
}

async function pixelsOf(file: Buffer | undefined): Promise<{ channels: number; values: number[] }> {
  const { channels } = await sharp(file).metadata();
  const picture = channels === 1 ? sharp(file).toColourspace('b-w') : sharp(file);
  return { channels, values: [...(await picture.raw().toBuffer())] };
}

describe('pictures', () => {
  it('of a seed are the same whenever they are drawn, alone or beside others, and others for another seed', async () => {
    const generator = await open(starter('digit-generator'));
    const together = filesOf(await generator.infer(seeds(1, 2, 3)));
    const [alone] = filesOf(await generator.infer(seeds(2)));
    expect(together).toHaveLength(3);
    expect(alone).toEqual(together[1]);
    expect(together[0]).not.toEqual(together[1]);
    expect((await sharp(alone).metadata()).format).toBe('png');
    expect(await sharp(alone).metadata()).toMatchObject({ width: 28, height: 28, channels: 1 });
  });

  it('of the starter model are digits, as another model reads them', async () => {
    const generator = await open(starter('digit-generator'));
    const reader = await open(starter('digits'), 'image-classification');
    const drawings = filesOf(await generator.infer(seeds(...Array.from({ length: 40 }, (_, seed) => seed))));
    const files = drawings.map((file) => file.toString('base64'));
    const answer = await reader.infer([{ name: 'image', datatype: 'BYTES', shape: [files.length], data: files }], {
      parameters: { top_k: 1 },
    });
    const certain = Array.from(outputOf(answer, 'score').data, Number).filter((score) => score >= 0.9);
    // Its card says 0.778 of them.
    expect(certain.length).toBeGreaterThan(22);
    expect(new Set(Array.from(outputOf(answer, 'label').data, String)).size).toBeGreaterThan(5);
  });

  it('of a latent mean what the package says of its least and its greatest brightness', async () => {
    const grey = await aMirror([1, 2, 2], { range: [-1, 1] });
    const answer = await grey.infer(latents([2, 4], [-1, 0, 1, 2, -3, 0.5, -0.5, 1]));
    expect(outputOf(answer, 'image').shape).toEqual([2]);
    expect(answer.usage).toEqual({ inputs: 2, 'input-tokens': 0 });
    const [first, second] = filesOf(answer);
    expect(await pixelsOf(first)).toEqual({ channels: 1, values: [0, 128, 255, 255] });
    expect((await pixelsOf(second)).values).toEqual([0, 191, 64, 255]);
  });

  it.each([
    ['first', [3, 1, 2], [1, 0, 0, 1, 0.2, 0.4]],
    ['last', [2, 1, 3], [1, 0, 0.2, 0, 1, 0.4]],
  ])('may have their colours %s', async (_, dims, data) => {
    const coloured = await aMirror(dims, {});
    const [file] = filesOf(await coloured.infer(latents([1, 6], data)));
    expect(await pixelsOf(file)).toEqual({ channels: 3, values: [255, 0, 51, 0, 255, 102] });
  });

  it.each([
    ['no seed', seeds(), 'model.input_invalid', 'inputs[0].shape'],
    ['too many seeds', seeds(...Array.from({ length: 65 }, (_, seed) => seed)), 'request.too_large', 'inputs[0].shape'],
    ['a latent of another size', latents([1, 3], [1, 2, 3]), 'model.input_invalid', 'inputs[0].shape'],
    ['latents in a row', latents([4], [1, 2, 3, 4]), 'model.input_invalid', 'inputs[0].shape'],
  ])('of %s are refused', async (_, inputs, code, field) => {
    const grey = await aMirror([1, 2, 2], {});
    await expect(grey.infer(inputs)).rejects.toMatchObject({ code, field });
  });

  it('of a latent that holds no numbers are refused, whoever brings them', async () => {
    const grey = await aMirror([1, 1, 1], {});
    const bytes = new Uint8Array(Float32Array.of(1, Number.NaN).buffer);
    const input = { name: 'latent', datatype: 'FP32' as const, shape: [2, 1], data: bytes };
    await expect(grey.infer([input])).rejects.toMatchObject({
      code: 'model.input_invalid',
      message: 'input "latent": row 1 holds something that is no number',
    });
  });

  it('that are larger than a call may hold are refused', async () => {
    const grey = await aMirror([1, 10, 10], {});
    await expect(grey.infer(seeds(1), { limits: { maxImagePixels: 99 } })).rejects.toMatchObject({ code: 'model.failed' });
  });
});

describe('a package that draws', () => {
  it.each([
    ['without saying how large its latent is', identityNetwork(), {}, 'needs the section "generation"'],
    ['with a latent of another size', linearNetwork({ inputs: 3, outputs: 3 }), { generation: { latentSize: 4 } }, 'of 4 numbers'],
    ['what is no picture', linearNetwork({ inputs: 4, outputs: 4 }), { generation: { latentSize: 4 } }, 'one output FP32'],
    ['with its brightness upside down', identityNetwork(), { generation: { latentSize: 4, range: [1, 0] } }, 'generation.range'],
  ])('%s is refused', async (_, network, weir, message) => {
    await expect(openPackage(await aPackage(network, weir), 'image-generation')).rejects.toMatchObject({
      code: 'model.package_invalid',
      message: expect.stringContaining(message),
    });
  });
});

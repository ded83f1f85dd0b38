import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Task } from '@weir/contracts';
import { afterEach, describe, expect, it } from 'vitest';
import { readModelPackage, type ModelPackage } from './model-package.ts';

let directory = '';

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Reads a package of these files; objects become JSON. */
async function read(task: Task, contents: Readonly<Record<string, unknown>>): Promise<ModelPackage> {
  directory = await mkdtemp(join(tmpdir(), 'weir-package-'));
  const files = [];
  for (const [path, content] of Object.entries(contents)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
    files.push({ path, sha256: '', sizeBytes: text.length });
  }
  return readModelPackage(directory, files, task);
}

const network = { 'onnx/model.onnx': '' };

describe('a package in Hugging Face layout', () => {
  it('of a vision model is scaled by its shorter edge and cut, and normalised per channel', async () => {
    const { image, labels } = await read('image-classification', {
      ...network,
      'config.json': { id2label: { 1: 'dog', 0: 'cat', 3: 'bird' } },
      'preprocessor_config.json': {
        size: { shortest_edge: 256 },
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
        resample: 3,
        do_normalize: true,
        image_mean: [0.1, 0.2, 0.3],
        image_std: [0.5, 0.5, 0.5],
      },
    });
    expect(image).toMatchObject({
      scaling: { kind: 'edges', shortestEdgePixels: 256, longestEdgePixels: null },
      crop: { heightPixels: 224, widthPixels: 224 },
      pad: null,
      kernel: 'cubic',
      channels: 3,
      mean: [0.1, 0.2, 0.3],
      deviation: [0.5, 0.5, 0.5],
    });
    expect(image?.rescaleFactor).toBeCloseTo(1 / 255);
    expect(labels).toEqual(['cat', 'dog', 'LABEL_2', 'bird']);
  });

  it('whose processor does not normalise or rescale leaves the numbers as they are', async () => {
    const { image } = await read('image-classification', {
      ...network,
      'weir.json': { image: { colour: 'grey' } },
      'preprocessor_config.json': { size: 8, do_rescale: false, image_mean: [0.5] },
    });
    expect(image).toMatchObject({
      scaling: { kind: 'exact', heightPixels: 8, widthPixels: 8 },
      crop: null,
      channels: 1,
      rescaleFactor: 1,
      mean: [0],
      deviation: [1],
      background: null,
    });
  });

  it.each<[Task, Record<string, unknown>, Record<string, unknown>]>([
    [
      'object-detection',
      { size: { shortest_edge: 800, longest_edge: 1333 }, do_pad: true },
      { scaling: { kind: 'edges', shortestEdgePixels: 800, longestEdgePixels: 1333 }, crop: null, pad: null },
    ],
    [
      'object-detection',
      { size: 800, max_size: 1333 },
      { scaling: { kind: 'edges', shortestEdgePixels: 800, longestEdgePixels: 1333 }, crop: null },
    ],
    [
      'object-detection',
      { size: { longest_edge: 640 }, do_pad: true, pad_size: { height: 640, width: 640 } },
      {
        scaling: { kind: 'edges', shortestEdgePixels: null, longestEdgePixels: 640 },
        pad: { heightPixels: 640, widthPixels: 640 },
      },
    ],
    ['object-detection', { size: { max_height: 480, max_width: 640 } }, { scaling: { kind: 'fit', heightPixels: 480, widthPixels: 640 } }],
    ['object-detection', { do_resize: false, size: 640 }, { scaling: { kind: 'original' }, crop: null, pad: null }],
    ['object-detection', { size: { shortest_edge: 640 } }, { crop: null }],
    ['image-classification', { size: { shortest_edge: 64 } }, { crop: { heightPixels: 64, widthPixels: 64 } }],
  ])('for %s with the processor %j scales, cuts and fills up as it says', async (task, processor, expected) => {
    const { image } = await read(task, { ...network, 'preprocessor_config.json': processor });
    expect(image).toMatchObject(expected);
  });

  it.each([
    [{ model_max_length: 1e30 }, { max_position_embeddings: 128 }, 128],
    [{ model_max_length: 64 }, { max_position_embeddings: 128 }, 64],
    [{ model_max_length: 1e30 }, {}, 512],
    [{}, {}, 512],
  ])('with the tokenizer %j and the network %j reads %d tokens', async (tokenizer, config, maxTokens) => {
    const { text } = await read('text-classification', {
      ...network,
      'tokenizer.json': {},
      'tokenizer_config.json': tokenizer,
      'config.json': { ...config, pad_token_id: 7 },
    });
    expect(text).toMatchObject({ maxTokens, padTokenId: 7 });
  });

  it.each<[Task, Record<string, unknown>, string]>([
    ['image-classification', network, 'preprocessor_config.json of the package is missing'],
    ['text-classification', { ...network, 'tokenizer_config.json': {} }, 'tokenizer.json of the package is missing'],
    ['tensors', { ...network, 'weir.json': { model: 'net.onnx' } }, 'net.onnx of the package is missing'],
    ['tensors', { ...network, 'weir.json': { model: '../../etc/passwd' } }, 'model: must be a path inside the package'],
    ['tensors', { ...network, 'config.json': { id2label: { x: 'y' } } }, 'id2label: "x" is not an index'],
  ])('for %s that lacks something is refused with what it lacks', async (task, contents, message) => {
    await expect(read(task, contents)).rejects.toMatchObject({ code: 'model.package_invalid', message: expect.stringContaining(message) });
  });
});

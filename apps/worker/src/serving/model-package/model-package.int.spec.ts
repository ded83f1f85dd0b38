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

  it.each([
    [['onnx/model_q4.onnx', 'onnx/model_quantized.onnx', 'onnx/model.onnx', 'model.onnx'], 'onnx/model.onnx'],
    [['onnx/model_q4f16.onnx', 'onnx/model_quantized.onnx', 'onnx/model_uint8.onnx'], 'onnx/model_quantized.onnx'],
    [['onnx/model_bnb4.onnx'], 'onnx/model_bnb4.onnx'],
    [['net/iris.onnx', 'iris.csv'], 'net/iris.onnx'],
  ])('with the files %j runs %s', async (paths, expected) => {
    const { networks } = await read('tensors', Object.fromEntries(paths.map((path) => [path, ''])));
    expect([...networks]).toEqual([['model', { file: join(directory, expected), padding: null }]]);
  });

  it('that reads text is padded at the end, where the mask is 0, with the token that stands for nothing', async () => {
    const padding = async (task: Task) =>
      (await read(task, { ...network, 'tokenizer.json': {}, 'config.json': { pad_token_id: 7 } })).networks.get('model')?.padding;
    expect(await padding('token-classification')).toEqual({
      inputs: new Map([
        ['input_ids', { axis: 1, fill: 7 }],
        ['attention_mask', { axis: 1, fill: 0 }],
        ['token_type_ids', { axis: 1, fill: 0 }],
        ['position_ids', { axis: 1, fill: 0 }],
      ]),
      mask: 'attention_mask',
      outputs: { rank: 3, axis: 1 },
    });
    expect(await padding('text-classification')).toEqual(await padding('token-classification'));
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['config.json', { 'config.json': { pad_token_id: 1 } }, 1],
    ['the name in tokenizer_config.json', { 'tokenizer_config.json': { pad_token: '<pad>' } }, 3],
    ['the name in special_tokens_map.json', { 'special_tokens_map.json': { pad_token: { content: '<pad>' } } }, 3],
    ['the usual name', {}, 5],
  ])('pads with the token that %s says', async (_, files, padTokenId) => {
    const added_tokens = [
      { id: 3, content: '<pad>' },
      { id: 5, content: '[PAD]' },
    ];
    const { text } = await read('text-classification', { ...network, 'tokenizer.json': { added_tokens }, ...files });
    expect(text?.padTokenId).toBe(padTokenId);
  });

  it('from sentence-transformers reads no more tokens than it was made for', async () => {
    const files = {
      ...network,
      'tokenizer.json': {},
      'sentence_bert_config.json': { max_seq_length: 256 },
      'config.json': { max_position_embeddings: 512 },
    };
    expect((await read('feature-extraction', files)).text?.maxTokens).toBe(256);
  });

  it('that counts positions from the padding token on, as RoBERTa does, reads two tokens fewer', async () => {
    const config = { model_type: 'xlm-roberta', max_position_embeddings: 514, pad_token_id: 1 };
    expect((await read('feature-extraction', { ...network, 'tokenizer.json': {}, 'config.json': config })).text?.maxTokens).toBe(512);
  });

  it('of two networks has both, by their roles', async () => {
    const reading = { detector: 'det.onnx', recogniser: 'rec.onnx', characters: 'keys.txt' };
    const { networks } = await read('image-to-text', { 'weir.json': { reading }, 'det.onnx': '', 'rec.onnx': '', 'keys.txt': 'a' });
    expect([...networks].map(([role, { file }]) => [role, file])).toEqual([
      ['detector', join(directory, 'det.onnx')],
      ['recogniser', join(directory, 'rec.onnx')],
    ]);
  });

  it.each<[Task, Record<string, unknown>, string]>([
    ['tensors', { 'a.onnx': '', 'b.onnx': '' }, 'must say in "model" which of a.onnx, b.onnx is to be run'],
    ['tensors', { 'README.md': '' }, 'onnx/model.onnx of the package is missing'],
    ['tensors', { ...network, 'weir.json': '{' }, 'weir.json of the package is not JSON'],
    ['image-to-text', network, 'needs the section "reading"'],
    ['image-classification', network, 'preprocessor_config.json of the package is missing'],
    ['text-classification', { ...network, 'tokenizer_config.json': {} }, 'tokenizer.json of the package is missing'],
    ['tensors', { ...network, 'weir.json': { model: 'net.onnx' } }, 'net.onnx of the package is missing'],
    ['tensors', { ...network, 'weir.json': { model: '../../etc/passwd' } }, 'model: must be a path inside the package'],
    ['tensors', { ...network, 'config.json': { id2label: { x: 'y' } } }, 'id2label: "x" is not an index'],
  ])('for %s that lacks something is refused with what it lacks', async (task, contents, message) => {
    await expect(read(task, contents)).rejects.toMatchObject({ code: 'model.package_invalid', message: expect.stringContaining(message) });
  });
});

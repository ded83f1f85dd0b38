import { onnxModel, type OnnxModel as ModelToWrite, type OnnxNode } from '@weir/testing';
import { describe, expect, it } from 'vitest';
import { bufferSource } from './byte-source.ts';
import { externaliseWeights, type ExternalisedWeights } from './external-weights.ts';
import { assertLoadable } from './loadable.ts';
import type { OnnxModel } from './onnx-model.ts';
import { readOnnxModel } from './read-onnx-model.ts';

const THRESHOLD = 64;
const floats = (count: number, first: number) => Array.from({ length: count }, (_, index) => first + index);

interface Rewritten {
  readonly moved: ExternalisedWeights;
  readonly network: Buffer;
  readonly weights: Buffer;
  readonly model: OnnxModel;
}

async function externalised(file: Buffer): Promise<Rewritten> {
  const network: Buffer[] = [];
  const weights: Buffer[] = [];
  const into = (list: Buffer[]) => ({ write: (content: Uint8Array) => Promise.resolve(void list.push(Buffer.from(content))) });
  const target = { network: into(network), weights: into(weights), weightsFile: 'weights.bin' };
  const moved = await externaliseWeights(bufferSource(file), 'model.onnx', target, THRESHOLD);
  const written = Buffer.concat(network);
  return {
    moved,
    network: written,
    weights: Buffer.concat(weights),
    model: await readOnnxModel(bufferSource(written.length === 0 ? file : written), 'model.onnx'),
  };
}

function network(over: Partial<ModelToWrite>): Buffer {
  return onnxModel({
    inputs: [{ name: 'x', dims: ['n', 32] }],
    outputs: [{ name: 'y', dims: ['n', 32] }],
    nodes: [{ operator: 'Mul', inputs: ['x', 'large'], outputs: ['y'] }],
    initialisers: [
      { name: 'small', dims: [1], data: [7] },
      { name: 'large', dims: [32], data: floats(32, 1) },
      { name: 'larger', dims: [2, 32], data: floats(64, 100) },
    ],
    ...over,
  });
}

const CONSTANT: OnnxNode = {
  operator: 'Constant',
  outputs: ['large'],
  attributes: { value: { tensor: { dims: [32], data: floats(32, 1) } } },
};

describe('a model whose large weights are moved out of it', () => {
  it('is the same model, with each of them on a page of its own, and may be loaded', async () => {
    const file = network({ metadata: { kept: 'yes' } });
    const before = await readOnnxModel(bufferSource(file), 'model.onnx');
    const { moved, model, weights, network: written } = await externalised(file);
    expect(moved).toEqual({ tensors: 2, bytes: 128 + 256 });
    const places = new Map(model.tensors.map(({ name, storage }) => [name, storage]));
    expect(places.get('small')).toMatchObject({ kind: 'inline', bytes: 4 });
    expect(places.get('large')).toEqual({ kind: 'external', location: 'weights.bin', offset: 0, bytes: 128 });
    expect(places.get('larger')).toEqual({ kind: 'external', location: 'weights.bin', offset: 4096, bytes: 256 });
    expect(new Float32Array(weights.buffer.slice(weights.byteOffset + 4096, weights.byteOffset + 4096 + 256))).toEqual(
      Float32Array.from(floats(64, 100)),
    );
    const plain = (read: OnnxModel) => ({
      ...read,
      fileBytes: 0,
      tensors: read.tensors.map((tensor) => ({ ...tensor, storage: null })),
    });
    expect(plain(model)).toEqual(plain(before));
    expect(() =>
      assertLoadable(model, [
        { path: 'model.onnx', sizeBytes: written.length },
        { path: 'weights.bin', sizeBytes: weights.length },
      ]),
    ).not.toThrow();
  });

  it('has its large constants as weights, where its version of ONNX allows it', async () => {
    const initialisers = [{ name: 'small', dims: [1], data: [7] }];
    const nodes = [CONSTANT, { operator: 'Mul', inputs: ['x', 'large'], outputs: ['y'] }];
    const { model } = await externalised(network({ initialisers, nodes }));
    expect(model.operators.map(({ operator }) => operator)).toEqual(['Mul']);
    expect(model.tensors.find(({ name }) => name === 'large')).toMatchObject({ role: 'initialiser', storage: { kind: 'external' } });
    expect((await externalised(network({ initialisers, nodes, irVersion: 3 }))).moved).toEqual({ tensors: 0, bytes: 0 });
  });

  it('is not written when nothing of it is large', async () => {
    const { moved, network: written, weights } = await externalised(network({ initialisers: [{ name: 'large', dims: [1], data: [1] }] }));
    expect([moved, written.length, weights.length]).toEqual([{ tensors: 0, bytes: 0 }, 0, 0]);
  });

  it('keeps what is external already, text, and what stands in branches', async () => {
    const external = { location: 'elsewhere.bin', offset: 0, length: 128 };
    const branch = (result: string) => ({
      graph: {
        outputs: [{ name: result, dims: ['n', 32] }],
        initialisers: [{ name: `w${result}`, dims: [32], data: floats(32, 1) }],
        nodes: [{ operator: 'Mul', inputs: ['x', `w${result}`], outputs: [result] }],
      },
    });
    const { moved, model } = await externalised(
      network({
        inputs: [
          { name: 'x', dims: ['n', 32] },
          { name: 'flag', type: 'bool', dims: [] },
        ],
        initialisers: [
          { name: 'there', dims: [32], external },
          { name: 'words', type: 'string', dims: [2], data: ['x'.repeat(100), 'y'] },
          { name: 'here', dims: [32], data: floats(32, 1) },
        ],
        nodes: [{ operator: 'If', inputs: ['flag'], outputs: ['y'], attributes: { then_branch: branch('a'), else_branch: branch('b') } }],
      }),
    );
    expect(moved.tensors).toBe(1);
    expect(model.tensors.map(({ name, storage }) => [name, storage.kind === 'external' ? storage.location : 'inline'])).toEqual([
      ['wa', 'inline'],
      ['wb', 'inline'],
      ['there', 'elsewhere.bin'],
      ['words', 'inline'],
      ['here', 'weights.bin'],
    ]);
  });

  it('is refused when it cannot be read', async () => {
    const file = network({});
    await expect(externalised(file.subarray(0, file.length - 40))).rejects.toMatchObject({ code: 'model.package_invalid' });
  });
});

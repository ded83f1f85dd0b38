import { AppError } from '@weir/kernel';
import { hostilePackages, onnxModel, type OnnxExternalData, type OnnxModel as ModelToWrite } from '@weir/testing';
import { describe, expect, it } from 'vitest';
import { bufferSource } from './byte-source.ts';
import { assertLoadable } from './loadable.ts';
import { readOnnxModel } from './read-onnx-model.ts';

const MODEL_FILE = 'model.onnx';

/** What is wrong with a package, or null when its model may be loaded. */
async function problemOf(files: ReadonlyMap<string, Buffer>, path = MODEL_FILE): Promise<string | null> {
  try {
    const model = await readOnnxModel(bufferSource(files.get(path) ?? Buffer.alloc(0)), path);
    assertLoadable(
      model,
      [...files].map(([file, content]) => ({ path: file, sizeBytes: content.length })),
    );
    return null;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'model.package_invalid' || error.field !== path) throw error;
    return error.message;
  }
}

function network(over: Partial<ModelToWrite>): Buffer {
  return onnxModel({
    inputs: [{ name: 'x', dims: ['n'] }],
    outputs: [{ name: 'y', dims: ['n'] }],
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    ...over,
  });
}

describe('a hostile package', () => {
  it.each(hostilePackages().filter(({ expect: expected }) => expected === 'refused-at-publish'))('is refused: $what', async ({ files }) => {
    expect(await problemOf(files)).toMatch(/^model\.onnx of the package /);
  });

  it.each(hostilePackages().filter(({ expect: expected }) => expected !== 'refused-at-publish'))(
    'is left to the process that loads it, or serves: $what',
    async ({ files }) => {
      expect(await problemOf(files)).toBeNull();
    },
  );
});

describe('a model may be loaded', () => {
  it('when it says what it needs in the words of ONNX, of ONNX Runtime, or its own', async () => {
    const opsets = { '': 17, 'ai.onnx.ml': 3, 'com.microsoft': 1, own: 1, 'com.example.unused': 1 };
    const nodes = [
      { operator: 'Twice', domain: 'own', inputs: ['x'], outputs: ['a'] },
      { operator: 'Scaler', domain: 'ai.onnx.ml', inputs: ['a'], outputs: ['b'] },
      { operator: 'Gelu', domain: 'com.microsoft', inputs: ['b'], outputs: ['c'] },
      { operator: 'Neg', domain: 'ai.onnx', inputs: ['c'], outputs: ['y'] },
    ];
    const functions = [
      { domain: 'own', name: 'Twice', inputs: ['a'], outputs: ['b'], nodes: [{ operator: 'Add', inputs: ['a', 'a'], outputs: ['b'] }] },
    ];
    expect(await problemOf(new Map([[MODEL_FILE, network({ opsets, nodes, functions })]]))).toBeNull();
    expect(await problemOf(new Map([[MODEL_FILE, network({ opsets, nodes })]]))).toContain('uses the operator "Twice" of "own"');
  });

  it('when a function of its own hides an operator that is not there, but not when the function calls one', async () => {
    const opsets = { '': 17, own: 1, 'com.example': 1 };
    const nodes = [{ operator: 'F', domain: 'own', inputs: ['x'], outputs: ['y'] }];
    const body = [{ operator: 'Run', domain: 'com.example', inputs: ['a'], outputs: ['b'] }];
    const functions = [{ domain: 'own', name: 'F', inputs: ['a'], outputs: ['b'], nodes: body, opsets }];
    expect(await problemOf(new Map([[MODEL_FILE, network({ opsets, nodes, functions })]]))).toContain('"Run" of "com.example"');
  });

  it('when its external data lies in its own folder, as large as its shape says', async () => {
    const at = (external: OnnxExternalData, dims = [4]) =>
      problemOf(
        new Map([
          ['onnx/model.onnx', network({ initialisers: [{ name: 'w', dims, external }] })],
          ['onnx/model.onnx_data', Buffer.alloc(64)],
          ['weights.bin', Buffer.alloc(64)],
        ]),
        'onnx/model.onnx',
      );
    expect(await at({ location: 'model.onnx_data' })).toBeNull();
    expect(await at({ location: './model.onnx_data', offset: 48, length: 16 })).toBeNull();
    expect(await at({ location: 'model.onnx_data', offset: 49, length: 16 })).toContain(
      'ends at byte 65 of "onnx/model.onnx_data", which has 64',
    );
    expect(await at({ location: 'model.onnx_data' }, [17])).toContain('ends at byte 68');
    expect(await at({ location: 'model.onnx_data', length: 12 })).toContain('takes 12 bytes of external data; its shape takes 16');
    expect(await at({ location: 'weights.bin' })).toContain('"onnx/weights.bin", which the package does not have');
    expect(await at({ location: '../weights.bin' })).toContain('outside of the package');
  });

  it('when it takes and gives at least one tensor that can be sent, whatever else it gives', async () => {
    const outputs = [
      { name: 'y', dims: ['n'] },
      { name: 'b', type: 'bfloat16' as const, dims: ['n'] },
    ];
    const nodes = [
      { operator: 'Identity', inputs: ['x'], outputs: ['y'] },
      { operator: 'Cast', inputs: ['x'], outputs: ['b'], attributes: { to: { int: 16 } } },
    ];
    expect(await problemOf(new Map([[MODEL_FILE, network({ outputs, nodes })]]))).toBeNull();
    expect(await problemOf(new Map([[MODEL_FILE, network({ outputs: outputs.slice(1), nodes })]]))).toContain('gives no tensor of a type');
  });

  it('when what it makes of little stays below 512 MB, one by one and together', async () => {
    const zeros = (count: number, elements: number) =>
      problemOf(
        new Map([
          [
            MODEL_FILE,
            network({
              initialisers: [{ name: 'size', type: 'int64', dims: [1], data: [elements] }],
              nodes: [
                ...Array.from({ length: count }, (_, index) => ({ operator: 'ConstantOfShape', inputs: ['size'], outputs: [`w${index}`] })),
                { operator: 'Identity', inputs: ['x'], outputs: ['y'] },
              ],
            }),
          ],
        ]),
      );
    expect(await zeros(1, 2 ** 27)).toBeNull();
    expect(await zeros(1, 2 ** 27 + 1)).toContain('take 536870916 bytes once they are loaded; at most 536870912 are allowed');
    expect(await zeros(3, 2 ** 26)).toContain('take 805306368 bytes');
  });

  it('when no axis of what it takes and gives is longer than can be sent', async () => {
    const inputs = (size: number) => problemOf(new Map([[MODEL_FILE, network({ inputs: [{ name: 'x', dims: [size] }] })]]));
    expect(await inputs(2 ** 31 - 1)).toBeNull();
    expect(await inputs(2 ** 31)).toContain('has in "x" an axis of more than 2147483647 elements');
  });

  it('when people can look at it: names of inputs and axes are at most 64 KiB together', async () => {
    const inputs = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `${index}`.padStart(500, 'x'), dims: ['n'] }));
    const nodes = [{ operator: 'Identity', inputs: ['x'.repeat(499) + '0'], outputs: ['y'] }];
    expect(await problemOf(new Map([[MODEL_FILE, network({ inputs: inputs(130), nodes })]]))).toBeNull();
    expect(await problemOf(new Map([[MODEL_FILE, network({ inputs: inputs(140), nodes })]]))).toContain('longer than 65536 characters');
  });
});

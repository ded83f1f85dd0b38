import { readFileSync } from 'node:fs';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { AppError } from '@weir/kernel';
import { hostilePackages, onnxModel, type OnnxGraph, type OnnxModel as ModelToWrite } from '@weir/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bufferSource, type ByteSource } from './byte-source.ts';
import { openFileSource } from './file-source.ts';
import { largeFile } from './large-file.fixture.ts';
import { assertLoadable } from './loadable.ts';
import { parameterCount, weightBytes, type OnnxModel } from './onnx-model.ts';
import { readOnnxModel } from './read-onnx-model.ts';

const modelPath = (path: string) => new URL(`../../../models/${path}`, import.meta.url);
const DIGITS = readFileSync(modelPath('digits/onnx/model.onnx'));

const read = (content: Uint8Array) => readOnnxModel(bufferSource(content), 'model.onnx');
const X = { name: 'x', dims: ['n'] };
const Y = { name: 'y', dims: ['n'] };
const written = (over: Partial<ModelToWrite>) =>
  onnxModel({ inputs: [X], outputs: [Y], nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }], ...over });
const problemOf = async (content: Uint8Array): Promise<string> => {
  try {
    await read(content);
    return 'none';
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'model.package_invalid' || error.field !== 'model.onnx') throw error;
    return error.message;
  }
};
const shown = ({ inputs, outputs }: OnnxModel) =>
  [...inputs, ...outputs].map(({ name, elementType, axes }) => [name, elementType?.name ?? null, axes]);

describe('an ONNX file tells', () => {
  it('what it takes and gives, and how large it is, with its weights passed over', async () => {
    const model = await read(DIGITS);
    expect(shown(model)).toEqual([
      ['pixel_values', 'float32', ['batch', 1, 28, 28]],
      ['logits', 'float32', ['batch', 10]],
    ]);
    expect(model).toMatchObject({ irVersion: 8, producer: { name: 'pytorch' }, opsets: new Map([['', 17]]), fileBytes: DIGITS.length });
    expect(weightBytes(model)).toBe(parameterCount(model) * 4);
    expect(weightBytes(model)).toBeGreaterThan(DIGITS.length * 0.99);
    expect(model.operators).toContainEqual({ domain: '', operator: 'Relu', nodes: 2 });
  });

  it('the same from a file on disk as from memory, in pieces of whatever size', async () => {
    const source = await openFileSource(modelPath('digits/onnx/model.onnx').pathname);
    try {
      expect(await readOnnxModel(source, 'model.onnx')).toEqual(await read(DIGITS));
    } finally {
      await source.close();
    }
  });

  it('which axes are free, by what name, and which are not known', async () => {
    const model = await read(
      written({
        inputs: [{ name: 'x', dims: ['batch', null, '', -1, 0, 3] }],
        outputs: [{ name: 'y' }, { name: 's', type: 'string', dims: [] }],
        nodes: [
          { operator: 'Identity', inputs: ['x'], outputs: ['y'] },
          { operator: 'Cast', inputs: ['x'], outputs: ['s'], attributes: { to: { int: 8 } } },
        ],
      }),
    );
    expect(shown(model)).toEqual([
      ['x', 'float32', ['batch', null, null, null, null, 3]],
      ['y', 'float32', null],
      ['s', 'string', []],
    ]);
  });

  it('as inputs only what a caller has to give, in files that list their weights as inputs too', async () => {
    const model = await read(
      written({
        irVersion: 3,
        inputs: [{ name: 'w', dims: [1] }, X],
        nodes: [{ operator: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
        initialisers: [{ name: 'w', dims: [1], data: [2] }],
      }),
    );
    expect(model.inputs.map(({ name }) => name)).toEqual(['x']);
  });

  it('its weights: where they are, how large, of graphs and nodes and branches', async () => {
    const model = await read(
      written({
        inputs: [X, { name: 'flag', type: 'bool', dims: [] }],
        initialisers: [
          { name: 'inside', dims: [2, 3], data: [1, 2, 3, 4, 5, 6] },
          { name: 'outside', type: 'float16', dims: [4], external: { location: 'weights.bin', offset: 4096, length: 8 } },
          { name: 'nibbles', type: 'int4', dims: [5], data: new Uint8Array(3) },
          { name: 'words', type: 'string', dims: [2], data: ['a', 'bcd'] },
        ],
        sparseInitialisers: [
          { values: { name: 'sparse', dims: [1], data: [1] }, indices: { type: 'int64', dims: [1], data: [7] }, dims: [100] },
        ],
        nodes: [
          { operator: 'Constant', outputs: ['c'], attributes: { value: { tensor: { dims: [1], data: [9] } } } },
          {
            operator: 'If',
            inputs: ['flag'],
            outputs: ['y'],
            attributes: {
              then_branch: {
                graph: {
                  outputs: [{ name: 'a', dims: ['n'] }],
                  initialisers: [{ name: 'deep', type: 'float64', dims: [1], data: [1] }],
                  nodes: [{ operator: 'Mul', inputs: ['x', 'c'], outputs: ['a'] }],
                },
              },
              else_branch: {
                graph: { outputs: [{ name: 'b', dims: ['n'] }], nodes: [{ operator: 'Neg', inputs: ['x'], outputs: ['b'] }] },
              },
            },
          },
        ],
      }),
    );
    const tensors = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
    expect(tensors.get('inside')).toMatchObject({
      role: 'initialiser',
      dims: [2, 3],
      elements: 6,
      sizeBytes: 24,
      storage: { kind: 'inline', bytes: 24 },
    });
    expect(tensors.get('outside')).toMatchObject({
      sizeBytes: 8,
      storage: { kind: 'external', location: 'weights.bin', offset: 4096, bytes: 8 },
    });
    expect(tensors.get('nibbles')).toMatchObject({ elements: 5, sizeBytes: 3 });
    expect(tensors.get('words')).toMatchObject({ elements: 2, sizeBytes: 4 });
    expect(tensors.get('sparse')).toMatchObject({ role: 'sparse', dims: [100], sizeBytes: 400 });
    expect(tensors.get('deep')).toMatchObject({ elementType: { name: 'float64' }, sizeBytes: 8 });
    expect(model.tensors.filter(({ role }) => role === 'constant').map(({ sizeBytes }) => sizeBytes)).toEqual([4, 8]);
    expect(model.subgraphs).toEqual({ count: 2, depth: 1 });
    expect(model.operators.map(({ operator, nodes }) => [operator, nodes])).toEqual([
      ['Constant', 1],
      ['Mul', 1],
      ['Neg', 1],
      ['If', 1],
    ]);
  });

  it('its own functions and its notes; notes that nobody would read are left out', async () => {
    const model = await read(
      written({
        opsets: { 'ai.onnx': 17, own: 1 },
        functions: [
          { domain: 'own', name: 'Twice', inputs: ['a'], outputs: ['b'], nodes: [{ operator: 'Add', inputs: ['a', 'a'], outputs: ['b'] }] },
        ],
        nodes: [{ operator: 'Twice', domain: 'own', inputs: ['x'], outputs: ['y'] }],
        metadata: { __proto__: 'kept', names: '["cat"]', vocabulary: 'x'.repeat(65_537) },
      }),
    );
    expect(model.functions).toEqual([{ domain: 'own', name: 'Twice' }]);
    expect(model.opsets).toEqual(new Map([['', 17], ['own', 1]])); // prettier-ignore
    expect([...model.metadata.keys()]).toEqual(['names']);
  });

  it('what its nodes make out of little, where the file says how much', async () => {
    const shape = (name: string, ...data: number[]) => ({ name, type: 'int64' as const, dims: [data.length], data });
    const model = await read(
      written({
        initialisers: [
          shape('size', 1_000, 1_000),
          shape('times', 100, 5),
          { name: 'row', type: 'float64', dims: [1, 1_000], data: new Uint8Array(8_000) },
        ],
        nodes: [
          { operator: 'ConstantOfShape', inputs: ['size'], outputs: ['zeros'] },
          {
            operator: 'ConstantOfShape',
            inputs: ['size'],
            outputs: ['flags'],
            attributes: { value: { tensor: { type: 'bool', dims: [1], data: [1] } } },
          },
          { operator: 'Expand', inputs: ['row', 'size'], outputs: ['rows'] },
          { operator: 'Expand', inputs: ['x', 'size'], outputs: ['wide'] },
          { operator: 'Tile', inputs: ['row', 'times'], outputs: ['tiles'] },
          { operator: 'Constant', outputs: ['told'], attributes: { value_ints: { ints: [10, 20] } } },
          { operator: 'ConstantOfShape', inputs: ['told'], outputs: ['small'] },
          { operator: 'RandomNormal', outputs: ['noise'], attributes: { shape: { ints: [1_000, 2_000] } } },
          { operator: 'Shape', inputs: ['x'], outputs: ['computed'] },
          { operator: 'ConstantOfShape', inputs: ['computed'], outputs: ['untold'] },
          { operator: 'Identity', inputs: ['x'], outputs: ['y'] },
        ],
      }),
    );
    expect(model.expansions.map(({ name, sizeBytes, isConstant }) => [name, sizeBytes, isConstant])).toEqual([
      ['zeros', 4_000_000, true],
      ['flags', 1_000_000, true],
      ['rows', 8_000_000, true],
      ['wide', 1_000_000, false],
      ['tiles', 100 * 5_000 * 8, true],
      ['small', 800, true],
      ['noise', 2_000_000, false],
    ]);
  });

  it('what a branch makes whose size stands outside of it', async () => {
    const branch = (result: string): OnnxGraph => ({
      outputs: [{ name: result, dims: ['n'] }],
      nodes: [{ operator: 'ConstantOfShape', inputs: ['size'], outputs: [result] }],
    });
    const model = await read(
      written({
        inputs: [X, { name: 'flag', type: 'bool', dims: [] }],
        initialisers: [{ name: 'size', type: 'int64', dims: [1], data: [2 ** 40] }],
        nodes: [
          {
            operator: 'If',
            inputs: ['flag'],
            outputs: ['y'],
            attributes: { then_branch: { graph: branch('a') }, else_branch: { graph: branch('b') } },
          },
        ],
      }),
    );
    expect(model.expansions.map(({ sizeBytes }) => sizeBytes)).toEqual([2 ** 42, 2 ** 42]);
  });

  it('itself in little memory and few reads, whatever the size of its weights: 10 GB in 40 tensors', async () => {
    const { source, taken } = counted(largeFile(40, 8_192));
    const model = await readOnnxModel(source, 'model.onnx');
    expect(weightBytes(model)).toBe(40 * 256 * 1_048_576);
    expect(model.fileBytes).toBeGreaterThan(10 ** 10);
    expect(taken.bytes).toBeLessThan(1_048_576);
  });

  it('itself in pieces of 256 KiB at most, also where it has no weights to pass over', async () => {
    const file = written({ nodes: chain(50_000) });
    const { source, taken } = counted(bufferSource(file));
    expect((await readOnnxModel(source, 'model.onnx')).operators).toEqual([{ domain: '', operator: 'Neg', nodes: 50_000 }]);
    expect(taken).toEqual({ bytes: expect.closeTo(file.length, -4), largest: 262_144 });
  });
});

/** A chain of nodes from `x` to `y`. */
function chain(nodes: number) {
  const name = (index: number) => (index === 0 ? 'x' : index === nodes ? 'y' : `${index}`);
  return Array.from({ length: nodes }, (_, index) => ({ operator: 'Neg', inputs: [name(index)], outputs: [name(index + 1)] }));
}

/** A source that counts what is read of it. */
function counted(source: ByteSource): { source: ByteSource; taken: { bytes: number; largest: number } } {
  const taken = { bytes: 0, largest: 0 };
  const read: ByteSource['read'] = (offset, length) => {
    taken.bytes += length;
    taken.largest = Math.max(taken.largest, length);
    return source.read(offset, length);
  };
  return { source: { sizeBytes: source.sizeBytes, read }, taken };
}

describe('a file that cannot be read is refused with the byte and the reason', () => {
  const message = (field: number, write: (writer: BinaryWriter) => unknown): Buffer => {
    const writer = new BinaryWriter().tag(field, WireType.LengthDelimited).fork();
    write(writer);
    return Buffer.from(writer.join().finish());
  };
  const weight = (over: object) => written({ initialisers: [{ name: 'w', dims: [1], data: [1], ...over }] });

  it.each([
    ['cut in its weights', DIGITS.subarray(0, DIGITS.length - 40_000), 'a field is longer than what it stands in'],
    ['with a text for a number', Buffer.from([0x82]), 'ends too early'],
    ['with a number for a graph', Buffer.from([0x38, 0x01]), 'a graph is not written as a message'],
    [
      'with a field longer than its message',
      Buffer.from([0x3a, 0x02, 0x12, 0x05, 0x61, 0x61, 0x61, 0x61, 0x61]),
      'longer than what it stands in',
    ],
    [
      'with a packed list that ends inside an integer',
      // The shape of a weight: 1, then the first byte of two of an integer whose second byte belongs to the next field.
      message(7, (writer) => writer.tag(5, WireType.LengthDelimited).bytes(Uint8Array.of(0x0a, 0x02, 0x01, 0x80, 0x10, 0x01))),
      'the shape of a tensor ends inside a number',
    ],
    ['with a name that is not UTF-8', Buffer.from([0x12, 0x02, 0xc3, 0x28]), 'the name of the producer is not UTF-8'],
    ['with a zero in a name', written({ inputs: [{ name: 'x\0', dims: ['n'] }] }), 'the name of an input holds a zero character'],
    ['with a name longer than any', written({ inputs: [{ name: 'x'.repeat(513), dims: [] }] }), 'longer than 512 bytes'],
    ['without operators', written({ opsets: {} }), 'does not say for which operators'],
    ['with a type of no number', written({ inputs: [{ ...X, type: 99 }] }), 'has a type that ONNX does not have'],
    [
      'with one weight twice',
      written({ initialisers: [1, 2].map((n) => ({ name: 'w', dims: [1], data: [n] })) }),
      'the weight "w" is there twice',
    ],
    ['with too little data', weight({ dims: [2] }), 'declares 2 elements of float32 and has 4 bytes'],
    ['with too much data', weight({ data: [1, 2] }), 'declares 1 elements of float32 and has 8 bytes'],
    [
      'with an axis of more elements than there are numbers',
      written({ inputs: [{ name: 'x', dims: [2 ** 62] }] }),
      'an input has an axis of',
    ],
    ['with more axes than any', written({ inputs: [{ name: 'x', dims: Array.from({ length: 65 }, () => 1) }] }), 'more than 64 axes'],
    [
      'with more inputs than any',
      written({ inputs: Array.from({ length: 1_001 }, (_, n) => ({ name: `x${n}`, dims: [] })) }),
      'more than 1000 inputs',
    ],
    ['with data inside and outside', weight({ external: { location: 'weights.bin' } }), 'has its data twice'],
    ['with external data nowhere', weight({ data: undefined, external: { location: '' } }), 'does not say where'],
    [
      'with a value given twice',
      written({ nodes: ['Neg', 'Abs'].map((operator) => ({ operator, inputs: ['x'], outputs: ['y'] })) }),
      'the value "y" is given twice',
    ],
    ['with an attribute of two graphs', twoBranches(), 'an attribute has its value twice'],
    ['with more nodes than can be loaded', written({ nodes: chain(100_001) }), 'more than 100000 nodes'],
    ['with fields without end', Buffer.alloc(8_000_002, Buffer.from([0x28, 0x01])), 'more than 4000000 fields'],
    ['with a group', message(7, (writer) => writer.tag(50, WireType.StartGroup).tag(50, WireType.EndGroup)), 'groups'],
  ])('%s', async (_, content, problem) => {
    const found = await problemOf(content);
    expect(found).toContain(problem);
    expect(found).toMatch(/^model\.onnx of the package is not an ONNX file that can be read: .* \(at byte \d+\)$/s);
  });

  it('but a file that cannot be reached is not called wrong', async () => {
    const broken: ByteSource = { sizeBytes: 100, read: () => Promise.reject(new Error('the disk is gone')) };
    await expect(readOnnxModel(broken, 'model.onnx')).rejects.toThrow('the disk is gone');
  });

  /** An attribute with the field `g` twice. */
  function twoBranches(): Buffer {
    const graph = (writer: BinaryWriter) => writer.tag(6, WireType.LengthDelimited).bytes(new Uint8Array());
    const attribute = (writer: BinaryWriter) => graph(graph(writer.tag(5, WireType.LengthDelimited).fork())).join();
    const node = (writer: BinaryWriter) => attribute(writer.tag(1, WireType.LengthDelimited).fork()).join();
    return message(7, node);
  }
});

describe('whatever the file holds, it is read or refused, and nothing else happens', () => {
  /** Read, and looked at as before a load; throws what is no refusal. */
  const settles = async (content: Uint8Array): Promise<void> => {
    try {
      assertLoadable(await read(content), [{ path: 'model.onnx', sizeBytes: content.length }]);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'model.package_invalid' || error.field !== 'model.onnx') throw error;
    }
  };

  /** Changes some bytes at the given places, and may double, take out or cut a piece. */
  const mutations = fc.record({
    changes: fc.array(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }), { minLength: 1, maxLength: 6 }),
    cutAt: fc.option(fc.nat(), { freq: 4 }),
    piece: fc.option(fc.record({ at: fc.nat(), length: fc.nat({ max: 64 }), isDoubled: fc.boolean() })),
  });
  type Mutation = typeof mutations extends fc.Arbitrary<infer T> ? T : never;

  /** @param places which bytes may be hit */
  function mutated(original: Buffer, places: readonly number[], { changes, cutAt, piece }: Mutation): Buffer {
    let content = Buffer.from(original);
    const place = (at: number) => places[at % places.length] ?? 0;
    for (const { at, byte } of changes) content[place(at)] = byte;
    if (piece !== null) {
      const start = place(piece.at);
      const middle = content.subarray(start, start + piece.length);
      const rest = content.subarray(start + piece.length);
      content = Buffer.concat([content.subarray(0, start), ...(piece.isDoubled ? [middle, middle] : []), rest]);
    }
    return cutAt === null ? content : content.subarray(0, place(cutAt));
  }

  it('of arbitrary bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), settles), { numRuns: 2_000 });
  });

  it('of small models of every kind, changed somewhere', async () => {
    const originals = hostilePackages()
      .map(({ files }) => files.get('model.onnx') ?? Buffer.alloc(0))
      .filter(({ length }) => length > 0 && length < 4_096);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...originals), mutations, (original, mutation) =>
        settles(mutated(original, [...original.keys()], mutation)),
      ),
      { numRuns: 5_000 },
    );
  });

  it('of a model as exporters write it, changed anywhere but in its weights', async () => {
    const model = await read(DIGITS);
    const weights = model.tensors.flatMap(({ storage }) =>
      storage.kind === 'inline' && storage.content !== null ? [storage.content] : [],
    );
    const structure = [...DIGITS.keys()].filter((at) => !weights.some(({ offset, bytes }) => at >= offset && at < offset + bytes));
    expect(structure.length).toBeLessThan(5_000);
    await fc.assert(
      fc.asyncProperty(mutations, (mutation) => settles(mutated(DIGITS, structure, mutation))),
      { numRuns: 500 },
    );
  });

  it('and every beginning of a model is refused', async () => {
    const whole = written({ initialisers: [{ name: 'w', type: 'int64', dims: [3], data: [1, 2, 3] }] });
    for (let length = 0; length < whole.length; length++)
      expect(await problemOf(whole.subarray(0, length)), `${length} bytes`).not.toBe('none');
    expect(await problemOf(whole)).toBe('none');
  });
});

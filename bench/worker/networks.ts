import { onnxModel, type OnnxNode, type OnnxTensor } from '@weir/testing';

// Networks of a known shape and cost, with made-up weights: what is measured is serving, not what they say.

/** A network as an ONNX file, with what one row of it looks like. */
export interface BenchNetwork {
  readonly name: string;
  readonly file: Buffer;
  /** Numbers in a row of the input `x [batch, …]`. */
  readonly rowSize: number;
}

/** The serving costs more than the network: a multi-layer perceptron 10 → 10 → 10. */
export function smallNetwork(): BenchNetwork {
  return { name: 'small', rowSize: 10, file: perceptron([10, 10, 10]) };
}

/** Costs the same for each row, however many share a run: convolutions over a picture of 16 × 16. */
export function computeBoundNetwork(layers = 16): BenchNetwork {
  const channels = 64;
  const nodes: OnnxNode[] = [{ operator: 'Reshape', inputs: ['x', 'picture'], outputs: ['h0'] }];
  const initialisers: OnnxTensor[] = [{ name: 'picture', type: 'int64', dims: [4], data: [-1, 1, 16, 16] }];
  for (let layer = 0; layer < layers; layer++) {
    const from = layer === 0 ? 1 : channels;
    initialisers.push(weights(`w${layer}`, [channels, from, 3, 3], from * 9));
    nodes.push(
      {
        operator: 'Conv',
        inputs: [`h${layer}`, `w${layer}`],
        outputs: [`c${layer}`],
        attributes: { pads: { ints: [1, 1, 1, 1] }, kernel_shape: { ints: [3, 3] } },
      },
      { operator: 'Relu', inputs: [`c${layer}`], outputs: [`h${layer + 1}`] },
    );
  }
  nodes.push(
    { operator: 'GlobalAveragePool', inputs: [`h${layers}`], outputs: ['pooled'] },
    { operator: 'Flatten', inputs: ['pooled'], outputs: ['flat'] },
    { operator: 'MatMul', inputs: ['flat', 'head'], outputs: ['y'] },
  );
  initialisers.push(weights('head', [channels, 10], channels));
  return { name: 'compute-bound', rowSize: 256, file: file(256, 10, nodes, initialisers) };
}

/** Costs mostly the reading of its weights, so that rows that share a run are nearly free: 64 → 4096 → 4096 → 10. */
export function weightBoundNetwork(): BenchNetwork {
  return { name: 'weight-bound', rowSize: 64, file: perceptron([64, 4096, 4096, 10]) };
}

/** Where an initialiser's bytes stand in a file beside the network's. */
export interface ExternalWeights {
  readonly network: Buffer;
  /** `weights.bin`; empty where the weights are in the network's own file. */
  readonly data: Buffer;
}

/** A network of 64 matrices of 1024 × 1024 numbers, 256 MiB, in its file or beside it. */
export function largeNetwork(where: 'inline' | 'external'): ExternalWeights {
  const width = 1024;
  const layers = 64;
  const layerBytes = width * width * 4;
  const data = where === 'external' ? Buffer.alloc(layers * layerBytes) : Buffer.alloc(0);
  const nodes: OnnxNode[] = [];
  const initialisers: OnnxTensor[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const matrix = weights(`w${layer}`, [width, width], width, layer);
    const bytes = matrix.data as Uint8Array;
    const offset = layer * layerBytes;
    if (where === 'external') data.set(bytes, offset);
    initialisers.push(
      where === 'external'
        ? { name: `w${layer}`, dims: [width, width], external: { location: 'weights.bin', offset, length: layerBytes } }
        : matrix,
    );
    nodes.push({
      operator: 'MatMul',
      inputs: [layer === 0 ? 'x' : `h${layer}`, `w${layer}`],
      outputs: [layer === layers - 1 ? 'y' : `h${layer + 1}`],
    });
  }
  return { network: file(width, width, nodes, initialisers), data };
}

export interface EncoderOptions {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly vocabulary: number;
  readonly positions: number;
}

/**
 * A Transformer encoder as BERT is one: `input_ids` and `attention_mask` int64 [batch, tokens] in, `logits` [batch, 2] of
 * the first token out. What is padded is masked.
 */
export function encoderNetwork({ layers, width, heads, vocabulary, positions }: EncoderOptions): Buffer {
  const nodes: OnnxNode[] = [];
  const initialisers: OnnxTensor[] = [
    weights('words', [vocabulary, width], width),
    weights('places', [positions, width], width),
    { name: 'split', type: 'int64', dims: [4], data: [0, 0, heads, width / heads] },
    { name: 'merged', type: 'int64', dims: [3], data: [0, 0, width] },
    { name: 'zero', type: 'int64', dims: [1], data: [0] },
    { name: 'one', type: 'int64', dims: [1], data: [1] },
    { name: 'first', type: 'int64', dims: [], data: [0] },
    { name: 'maskAxes', type: 'int64', dims: [2], data: [1, 2] },
    numbers('unit', [], [1]),
    numbers('half', [], [0.5]),
    numbers('root2', [], [Math.SQRT2]),
    numbers('forbidden', [], [-10_000]),
    numbers('scale', [], [1 / Math.sqrt(width / heads)]),
  ];
  let next = 0;
  const add = (operator: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): string => {
    const output = `n${next++}`;
    nodes.push({ operator, inputs, outputs: [output], attributes });
    return output;
  };
  const linear = (input: string, from: number, to: number): string => {
    const name = `w${next}`;
    initialisers.push(weights(name, [from, to], from), weights(`${name}b`, [to], from));
    return add('Add', [add('MatMul', [input, name]), `${name}b`]);
  };
  const normalised = (input: string): string => {
    const name = `s${next}`;
    initialisers.push(
      numbers(
        name,
        [width],
        Array.from({ length: width }, () => 1),
      ),
      weights(`${name}b`, [width], width),
    );
    return add('LayerNormalization', [input, name, `${name}b`], { axis: { int: -1 } });
  };
  const head = (input: string, order: readonly number[]): string =>
    add('Transpose', [add('Reshape', [linear(input, width, width), 'split'])], { perm: { ints: order } });

  const tokens = add('Gather', [add('Shape', ['input_ids']), 'one'], { axis: { int: 0 } });
  const places = add('Slice', ['places', 'zero', tokens, 'zero']);
  const mask = add('Unsqueeze', [add('Cast', ['attention_mask'], { to: { int: 1 } }), 'maskAxes']);
  const hidden = add('Mul', [add('Sub', ['unit', mask]), 'forbidden']);
  let state = normalised(add('Add', [add('Gather', ['words', 'input_ids'], { axis: { int: 0 } }), places]));
  for (let layer = 0; layer < layers; layer++) {
    const query = head(state, [0, 2, 1, 3]);
    const key = head(state, [0, 2, 3, 1]);
    const value = head(state, [0, 2, 1, 3]);
    const scores = add('Add', [add('Mul', [add('MatMul', [query, key]), 'scale']), hidden]);
    const seen = add('MatMul', [add('Softmax', [scores], { axis: { int: -1 } }), value]);
    const together = add('Reshape', [add('Transpose', [seen], { perm: { ints: [0, 2, 1, 3] } }), 'merged']);
    state = normalised(add('Add', [state, linear(together, width, width)]));
    const inner = linear(state, width, width * 4);
    const gate = add('Mul', [add('Add', [add('Erf', [add('Div', [inner, 'root2'])]), 'unit']), 'half']);
    state = normalised(add('Add', [state, linear(add('Mul', [inner, gate]), width * 4, width)]));
  }
  const first = add('Gather', [state, 'first'], { axis: { int: 1 } });
  initialisers.push(weights('classes', [width, 2], width));
  nodes.push({ operator: 'MatMul', inputs: [first, 'classes'], outputs: ['logits'] });
  const dims = ['batch', 'tokens'];
  return onnxModel({
    inputs: [
      { name: 'input_ids', type: 'int64', dims },
      { name: 'attention_mask', type: 'int64', dims },
    ],
    outputs: [{ name: 'logits', dims: ['batch', 2] }],
    nodes,
    initialisers,
  });
}

function perceptron(sizes: readonly number[]): Buffer {
  const nodes: OnnxNode[] = [];
  const initialisers: OnnxTensor[] = [];
  const last = sizes.length - 2;
  for (let layer = 0; layer <= last; layer++) {
    const [from = 0, to = 0] = sizes.slice(layer);
    initialisers.push(weights(`w${layer}`, [from, to], from), weights(`b${layer}`, [to], from));
    const input = layer === 0 ? 'x' : `h${layer}`;
    nodes.push({ operator: 'Gemm', inputs: [input, `w${layer}`, `b${layer}`], outputs: [layer === last ? 'y' : `g${layer}`] });
    if (layer < last) nodes.push({ operator: 'Relu', inputs: [`g${layer}`], outputs: [`h${layer + 1}`] });
  }
  return file(sizes[0] ?? 0, sizes.at(-1) ?? 0, nodes, initialisers);
}

function file(inputs: number, outputs: number, nodes: readonly OnnxNode[], initialisers: readonly OnnxTensor[]): Buffer {
  return onnxModel({
    inputs: [{ name: 'x', dims: ['batch', inputs] }],
    outputs: [{ name: 'y', dims: ['batch', outputs] }],
    nodes,
    initialisers,
  });
}

function numbers(name: string, dims: readonly number[], data: readonly number[]): OnnxTensor {
  return { name, dims, data };
}

/** Made-up numbers; the same ones each time. */
function weights(name: string, dims: readonly number[], inputs: number, seed = 1): OnnxTensor {
  const values = new Float32Array(dims.reduce((count, size) => count * size, 1));
  // As large as rectifiers need it to pass on what they are given: numbers that vanish are slow ones.
  const range = Math.sqrt(6 / inputs);
  let state = (seed * 2_654_435_761 + name.length) >>> 0;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    values[i] = (state / 2 ** 31 - 1) * range;
  }
  return { name, dims, data: new Uint8Array(values.buffer) };
}

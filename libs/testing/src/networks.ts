import { onnxModel, type OnnxElementType, type OnnxNode, type OnnxTensor, type OnnxValue } from './onnx-model.ts';

// Small networks whose answers a spec can work out by itself. Files for ONNX Runtime, as `onnxModel` writes them.

/** `y = x`, of any type and shape. */
export function identityNetwork(options: { readonly type?: OnnxElementType; readonly dims?: OnnxValue['dims'] } = {}): Buffer {
  const value = { type: options.type ?? 'float32', dims: options.dims ?? ['n'] } as const;
  return oneNode({ operator: 'Identity', inputs: ['x'], outputs: ['y'] }, value);
}

/** `y = x · x`, element by element. */
export function squareNetwork(options: { readonly type?: OnnxElementType; readonly dims?: OnnxValue['dims'] } = {}): Buffer {
  const value = { type: options.type ?? 'float32', dims: options.dims ?? ['n'] } as const;
  return oneNode({ operator: 'Mul', inputs: ['x', 'x'], outputs: ['y'] }, value);
}

/**
 * `y [batch, outputs] = x [batch, inputs] · w`, float32.
 *
 * @param options.weights row after row, inputs × outputs; all 1 when they are not given
 */
export function linearNetwork(options: {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights?: readonly number[];
}): Buffer {
  const { inputs, outputs } = options;
  const weights = options.weights ?? Array.from({ length: inputs * outputs }, () => 1);
  return onnxModel({
    inputs: [{ name: 'x', dims: ['batch', inputs] }],
    outputs: [{ name: 'y', dims: ['batch', outputs] }],
    nodes: [{ operator: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initialisers: [{ name: 'w', dims: [inputs, outputs], data: weights }],
  });
}

/** Recurrent: `y = x + state`, and `next = y` is to be given as `state` the next time; float32 [batch, 1]. */
export function runningSumNetwork(): Buffer {
  const dims = ['batch', 1];
  return onnxModel({
    inputs: [
      { name: 'x', dims },
      { name: 'state', dims },
    ],
    outputs: [
      { name: 'y', dims },
      { name: 'next', dims },
    ],
    nodes: [
      { operator: 'Add', inputs: ['x', 'state'], outputs: ['y'] },
      { operator: 'Identity', inputs: ['y'], outputs: ['next'] },
    ],
  });
}

/** `y = x + steps`, one after the other: the caller chooses how long it runs. `x` float32 [n], `steps` int64 without axes. */
export function stepsNetwork(): Buffer {
  return onnxModel({
    inputs: [
      { name: 'x', dims: ['n'] },
      { name: 'steps', type: 'int64', dims: [] },
    ],
    outputs: [{ name: 'y', dims: ['n'] }],
    nodes: [loop('steps', [{ operator: 'Add', inputs: ['before', 'one'], outputs: ['after'] }])],
    initialisers: [YES, { name: 'one', dims: [], data: [1] }],
  });
}

/** Both branches: `y = x + 1` when `flag` is true, else `y = x - 1`. `x` float32 [n], `flag` bool without axes. */
export function branchNetwork(): Buffer {
  const branch = (operator: string, result: string) => ({
    graph: { outputs: [{ name: result, dims: ['n'] }], nodes: [{ operator, inputs: ['x', 'one'], outputs: [result] }] },
  });
  return onnxModel({
    inputs: [
      { name: 'x', dims: ['n'] },
      { name: 'flag', type: 'bool', dims: [] },
    ],
    outputs: [{ name: 'y', dims: ['n'] }],
    nodes: [
      {
        operator: 'If',
        inputs: ['flag'],
        outputs: ['y'],
        attributes: { then_branch: branch('Add', 'more'), else_branch: branch('Sub', 'less') },
      },
    ],
    initialisers: [{ name: 'one', dims: [], data: [1] }],
  });
}

/** Scan: `y[i] = x[0] + … + x[i]` over the rows of `x`, float32 [rows, 1]. */
export function cumulativeSumNetwork(): Buffer {
  const row = (name: string) => ({ name, dims: [1] });
  return onnxModel({
    inputs: [{ name: 'x', dims: ['rows', 1] }],
    outputs: [{ name: 'y', dims: ['rows', 1] }],
    nodes: [
      {
        operator: 'Scan',
        inputs: ['zero', 'x'],
        outputs: ['last', 'y'],
        attributes: {
          num_scan_inputs: { int: 1 },
          body: {
            graph: {
              inputs: [row('before'), row('element')],
              outputs: [row('after'), row('sum')],
              nodes: [
                { operator: 'Add', inputs: ['before', 'element'], outputs: ['after'] },
                { operator: 'Identity', inputs: ['after'], outputs: ['sum'] },
              ],
            },
          },
        },
      },
    ],
    initialisers: [{ name: 'zero', dims: [1], data: [0] }],
  });
}

/** A weight that is true. */
export const YES: OnnxTensor = { name: 'yes', type: 'bool', dims: [], data: [1] };

/** A Loop over `x`: `count` times, or for ever when it is ''. `nodes` make `after` of `before`; `YES` has to be a weight. */
export function loop(count: string, nodes: readonly OnnxNode[]): OnnxNode {
  return {
    operator: 'Loop',
    inputs: [count, 'yes', 'x'],
    outputs: ['y'],
    attributes: {
      body: {
        graph: {
          inputs: [
            { name: 'round', type: 'int64', dims: [] },
            { name: 'go', type: 'bool', dims: [] },
            { name: 'before', dims: ['n'] },
          ],
          outputs: [
            { name: 'goOn', type: 'bool', dims: [] },
            { name: 'after', dims: ['n'] },
          ],
          nodes: [{ operator: 'Identity', inputs: ['go'], outputs: ['goOn'] }, ...nodes],
        },
      },
    },
  };
}

function oneNode(node: OnnxNode, value: Omit<OnnxValue, 'name'>): Buffer {
  return onnxModel({ inputs: [{ name: 'x', ...value }], outputs: [{ name: 'y', ...value }], nodes: [node] });
}

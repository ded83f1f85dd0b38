import { branchNetwork, cumulativeSumNetwork, identityNetwork, linearNetwork, loop, YES } from './networks.ts';
import {
  onnxModel,
  type OnnxElementType,
  type OnnxExternalData,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
} from './onnx-model.ts';

/** A call in the Open Inference Protocol. */
export interface HostileCall {
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
    readonly data: readonly unknown[];
  }[];
}

/** A package that somebody may publish who means harm, or made a mistake. */
export interface HostilePackage {
  readonly name: string;
  /** What is wrong with it, in the words of docs/model-packages.md. */
  readonly what: string;
  readonly files: ReadonlyMap<string, Buffer>;
  /**
   * What the platform does with it. `refused-at-load`: only ONNX Runtime can tell, with an error. `contained-…`: it costs the
   * process that loads or runs it its time, its memory or its life, and no other. `served`: it looks worse than it is.
   */
  readonly expect: 'refused-at-publish' | 'refused-at-load' | 'contained-at-load' | 'contained-at-run' | 'served';
  /** What ONNX Runtime 1.30 does with it where nobody has looked at it before: `hangs` and `exhausts memory` come from the load or the call. */
  readonly runtime: 'refuses' | 'answers' | 'fails the call' | 'hangs' | 'exhausts memory' | 'dies';
  /** Brings it out, in those that load. */
  readonly call: HostileCall | null;
}

const GIGABYTE = 2 ** 30;
const FLOATS_OF_2_GIGABYTES = GIGABYTE / 2;

/** Fresh copies of all of them. */
export function hostilePackages(): HostilePackage[] {
  return [...notOnnx(), ...contradictions(), ...externalData(), ...foreignCode(), ...bombs(), ...uncallable(), ...atRun(), ...harmless()];
}

const refused = { expect: 'refused-at-publish', runtime: 'refuses', call: null } as const;
const X_CALL: HostileCall = { inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }] };

/** A package of one network. */
function files(network: Buffer, others: Readonly<Record<string, Buffer>> = {}): Map<string, Buffer> {
  return new Map([['model.onnx', network], ['weir.json', Buffer.from('{"task":"tensors"}')], ...Object.entries(others)]);
}

/** `y = x` float32 [n], and what is changed of it. */
function network(over: Partial<OnnxModel>): Buffer {
  return onnxModel({
    inputs: [{ name: 'x', dims: ['n'] }],
    outputs: [{ name: 'y', dims: ['n'] }],
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    ...over,
  });
}

const MULTIPLY: OnnxNode = { operator: 'Mul', inputs: ['x', 'w'], outputs: ['y'] };
/** Uses one element of `w`, which may be large. */
const PICK: readonly OnnxNode[] = [
  { operator: 'ReduceMax', inputs: ['w'], outputs: ['top'] },
  { operator: 'Mul', inputs: ['x', 'top'], outputs: ['y'] },
];

function integers(name: string, ...data: number[]): OnnxTensor {
  return { name, type: 'int64', dims: [data.length], data };
}

function notOnnx(): HostilePackage[] {
  const whole = linearNetwork({ inputs: 64, outputs: 64 });
  return [
    { ...refused, name: 'empty-file', what: 'A file of no bytes', files: files(Buffer.alloc(0)) },
    { ...refused, name: 'text', what: 'A text file under the name of a model', files: files(Buffer.from('This is not a model.\n')) },
    { ...refused, name: 'zip', what: 'A zip archive under the name of a model', files: files(zipOf('model.onnx', whole)) },
    { ...refused, name: 'truncated', what: 'A model that was cut off', files: files(whole.subarray(0, whole.length / 2)) },
    { ...refused, name: 'without-graph', what: 'A model file without a graph', files: files(Buffer.from([0x08, 0x08])) },
    {
      ...refused,
      name: 'two-graphs',
      what: 'A model file with two graphs, which the runtime would merge into a third',
      files: files(Buffer.concat([network({}), network({})])),
    },
  ];
}

function contradictions(): HostilePackage[] {
  const weight = (over: Partial<OnnxTensor>) =>
    files(network({ nodes: [MULTIPLY], initialisers: [{ name: 'w', dims: [1], data: [1], ...over }] }));
  const doubling = (count: number): OnnxFunction[] => [
    functionOf('F0', ['Identity'], ''),
    ...Array.from({ length: count }, (_, index) =>
      functionOf(
        `F${index + 1}`,
        Array.from({ length: 10 }, () => `F${index}`),
      ),
    ),
  ];
  const calling = (functions: OnnxFunction[], operator: string) =>
    files(network({ functions, opsets: { '': 17, own: 1 }, nodes: [{ operator, domain: 'own', inputs: ['x'], outputs: ['y'] }] }));
  return [
    {
      ...refused,
      name: 'nested-graphs',
      what: 'Branches in branches, two hundred deep',
      files: files(
        network({
          inputs: [
            { name: 'x', dims: ['n'] },
            { name: 'flag', type: 'bool', dims: [] },
          ],
          ...nested(200),
        }),
      ),
    },
    {
      ...refused,
      name: 'circle',
      what: 'Nodes that wait for each other',
      files: files(
        network({
          nodes: [
            { operator: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
            { operator: 'Neg', inputs: ['a'], outputs: ['b'] },
            { operator: 'Neg', inputs: ['b'], outputs: ['y'] },
          ],
        }),
      ),
    },
    { ...refused, name: 'missing-value', what: 'A node whose input nothing gives', files: files(network({ nodes: [MULTIPLY] })) },
    { ...refused, name: 'shape-lies', what: 'A weight of 4 bytes whose shape says 4 terabytes', files: weight({ dims: [2 ** 40] }) },
    {
      ...refused,
      name: 'shape-wraps',
      what: 'A weight whose shape multiplies to zero in 64 bits',
      files: weight({ dims: [2 ** 32, 2 ** 32], data: new Uint8Array() }),
    },
    { ...refused, name: 'negative-shape', what: 'A weight with a negative size', files: weight({ dims: [-1] }) },
    { ...refused, name: 'recursive-function', what: 'A function that calls itself', files: calling([functionOf('F', ['F'])], 'F') },
    {
      ...refused,
      name: 'exploding-functions',
      what: 'Functions that call each other ten times each: a thousand million nodes from 2 KB',
      files: calling(doubling(8), 'F8'),
      runtime: 'hangs',
    },
    {
      ...refused,
      name: 'deep-functions',
      what: 'Three thousand functions, each calling the next',
      files: calling(
        [functionOf('F0', ['Identity'], ''), ...Array.from({ length: 3_000 }, (_, index) => functionOf(`F${index + 1}`, [`F${index}`]))],
        'F3000',
      ),
      runtime: 'dies',
    },
  ];
}

function functionOf(name: string, calls: readonly string[], domain = 'own'): OnnxFunction {
  const nodes = calls.map((operator, index) => ({ operator, domain, inputs: [`v${index}`], outputs: [`v${index + 1}`] }));
  return { domain: 'own', name, inputs: ['v0'], outputs: [`v${calls.length}`], nodes, opsets: { '': 17, own: 1 } };
}

/** `y` of branches in branches. */
function nested(depth: number): Required<Pick<OnnxGraph, 'outputs' | 'nodes'>> {
  const name = depth === 200 ? 'y' : `v${depth}`;
  const outputs = [{ name, dims: ['n'] }];
  if (depth === 0) return { outputs, nodes: [{ operator: 'Neg', inputs: ['x'], outputs: [name] }] };
  const other = { outputs: [{ name: `w${depth}`, dims: ['n'] }], nodes: [{ operator: 'Neg', inputs: ['x'], outputs: [`w${depth}`] }] };
  const attributes = { then_branch: { graph: nested(depth - 1) }, else_branch: { graph: other } };
  return { outputs, nodes: [{ operator: 'If', inputs: ['flag'], outputs: [name], attributes }] };
}

function externalData(): HostilePackage[] {
  const weights = Buffer.from(new Float32Array([3, 4, 5, 6]).buffer);
  const at = (external: OnnxExternalData, over: Partial<OnnxTensor> = {}) =>
    files(network({ nodes: [MULTIPLY], initialisers: [{ name: 'w', dims: [1], external, ...over }] }), { 'weights.bin': weights });
  const bytes = { offset: 0, length: 4 };
  return [
    {
      ...refused,
      name: 'external-parent',
      what: 'External data in a folder above the package',
      files: at({ location: '../weights.bin', ...bytes }),
    },
    {
      ...refused,
      name: 'external-detour',
      what: 'External data by a way that leaves the package and comes back',
      files: at({ location: 'a/../../package/weights.bin', ...bytes }),
    },
    { ...refused, name: 'external-absolute', what: 'External data by an absolute path', files: at({ location: '/etc/passwd', ...bytes }) },
    { ...refused, name: 'external-device', what: 'External data in a device', files: at({ location: '/dev/zero', ...bytes }) },
    {
      ...refused,
      name: 'external-windows',
      what: "External data by another system's path",
      files: at({ location: 'C:\\Windows\\win.ini', ...bytes }),
    },
    { ...refused, name: 'external-url', what: 'External data by a URL', files: at({ location: 'file:///etc/passwd', ...bytes }) },
    {
      ...refused,
      name: 'external-memory',
      what: "External data at an address in the process's memory, by the runtime's own mark for it",
      files: at({ location: '*/_ORT_MEM_ADDR_/*', offset: 4096, length: 4 }),
    },
    {
      ...refused,
      name: 'external-missing',
      what: 'External data that is not in the package',
      files: at({ location: 'other.bin', ...bytes }),
    },
    {
      ...refused,
      name: 'external-beyond',
      what: 'External data behind the end of its file',
      files: at({ location: 'weights.bin', offset: 14, length: 4 }),
    },
    {
      ...refused,
      name: 'external-negative',
      what: 'External data before the beginning of its file',
      files: at({ location: 'weights.bin', offset: -4, length: 4 }),
    },
    {
      ...refused,
      name: 'external-wrapping',
      what: 'External data at an offset that wraps in 64 bits',
      files: at({ location: 'weights.bin', offset: '18446744073709551612', length: 4 }),
    },
    {
      ...refused,
      name: 'external-length',
      what: 'External data longer than its tensor',
      files: at({ location: 'weights.bin', offset: 0, length: 8 }),
    },
    {
      ...refused,
      name: 'external-in-branch',
      what: 'External data outside of the package, of a weight inside a branch',
      files: files(network({ ...inBranch({ location: '../weights.bin', ...bytes }) })),
    },
    {
      ...refused,
      name: 'external-in-constant',
      what: 'External data outside of the package, of a constant',
      files: files(
        network({
          nodes: [
            {
              operator: 'Constant',
              outputs: ['w'],
              attributes: { value: { tensor: { dims: [1], external: { location: '../weights.bin', ...bytes } } } },
            },
            MULTIPLY,
          ],
        }),
      ),
    },
  ];
}

function inBranch(external: OnnxExternalData): Partial<OnnxModel> {
  const branch = (result: string) => ({
    graph: {
      outputs: [{ name: result, dims: ['n'] }],
      nodes: [{ operator: 'Mul', inputs: ['x', `w${result}`], outputs: [result] }],
      initialisers: [{ name: `w${result}`, dims: [1], external }],
    },
  });
  return {
    inputs: [
      { name: 'x', dims: ['n'] },
      { name: 'flag', type: 'bool', dims: [] },
    ],
    nodes: [{ operator: 'If', inputs: ['flag'], outputs: ['y'], attributes: { then_branch: branch('a'), else_branch: branch('b') } }],
  };
}

function foreignCode(): HostilePackage[] {
  return [
    {
      ...refused,
      name: 'unknown-domain',
      what: 'An operator of a library that is not loaded',
      files: files(
        network({
          nodes: [{ operator: 'Run', domain: 'com.example', inputs: ['x'], outputs: ['y'] }],
          opsets: { '': 17, 'com.example': 1 },
        }),
      ),
    },
    {
      ...refused,
      name: 'compiled-code',
      what: 'Code that was compiled for a device, in a file that the node names',
      files: files(
        network({
          opsets: { '': 17, 'com.microsoft': 1 },
          nodes: [
            {
              operator: 'EPContext',
              domain: 'com.microsoft',
              inputs: ['x'],
              outputs: ['y'],
              attributes: {
                embed_mode: { int: 0 },
                ep_cache_context: { string: '/etc/passwd' },
                source: { string: 'TensorrtExecutionProvider' },
              },
            },
          ],
        }),
      ),
    },
    {
      name: 'unknown-operator',
      what: 'An operator of ONNX that there is not',
      files: files(network({ nodes: [{ operator: 'Steal', inputs: ['x'], outputs: ['y'] }] })),
      expect: 'refused-at-load',
      runtime: 'refuses',
      call: null,
    },
    {
      name: 'wrong-types',
      what: 'An operator on a type that it does not take',
      files: files(
        network({ inputs: [{ name: 'x', type: 'string', dims: ['n'] }], nodes: [{ operator: 'Neg', inputs: ['x'], outputs: ['y'] }] }),
      ),
      expect: 'refused-at-load',
      runtime: 'refuses',
      call: null,
    },
  ];
}

function bombs(): HostilePackage[] {
  const one: OnnxTensor = { name: 'one', dims: [1], data: [1] };
  const made = (operator: string, inputs: readonly string[]) =>
    files(
      network({ initialisers: [integers('size', FLOATS_OF_2_GIGABYTES), one], nodes: [{ operator, inputs, outputs: ['w'] }, ...PICK] }),
    );
  const copies = Array.from({ length: 24 }, (_, index) => index);
  return [
    {
      ...refused,
      name: 'sparse-weight',
      what: 'A sparse weight of one number that takes 2 GB when it is loaded',
      files: files(
        network({
          nodes: [...PICK],
          sparseInitialisers: [
            {
              values: { name: 'w', dims: [1], data: [1] },
              indices: { type: 'int64', dims: [1], data: [0] },
              dims: [FLOATS_OF_2_GIGABYTES],
            },
          ],
        }),
      ),
      runtime: 'exhausts memory',
    },
    {
      ...refused,
      name: 'constant-of-shape',
      what: 'A constant of 2 GB by ConstantOfShape',
      files: made('ConstantOfShape', ['size']),
      runtime: 'exhausts memory',
      call: X_CALL,
    },
    {
      ...refused,
      name: 'expanded-constant',
      what: 'A constant of 2 GB by Expand',
      files: made('Expand', ['one', 'size']),
      runtime: 'exhausts memory',
      call: X_CALL,
    },
    {
      ...refused,
      name: 'tiled-constant',
      what: 'A constant of 2 GB by Tile',
      files: made('Tile', ['one', 'size']),
      runtime: 'exhausts memory',
      call: X_CALL,
    },
    {
      ...refused,
      name: 'folded-constants',
      what: 'Many constants of 60 MB, which the runtime works out when it loads the model',
      files: files(
        network({
          initialisers: [integers('size', 15_000_000)],
          nodes: [
            ...copies.flatMap((index): OnnxNode[] => [
              {
                operator: 'ConstantOfShape',
                inputs: ['size'],
                outputs: [`w${index}`],
                attributes: { value: { tensor: { dims: [1], data: [index] } } },
              },
              { operator: 'Mul', inputs: ['x', `w${index}`], outputs: [`v${index}`] },
            ]),
            { operator: 'Sum', inputs: copies.map((index) => `v${index}`), outputs: ['y'] },
          ],
        }),
      ),
      runtime: 'exhausts memory',
      call: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] },
    },
    {
      name: 'folded-work',
      what: 'A thousand products of large constants, which the runtime works out when it loads the model',
      files: files(
        network({
          initialisers: [integers('size', 2_048, 2_048)],
          nodes: [
            { operator: 'ConstantOfShape', inputs: ['size'], outputs: ['w0'] },
            ...Array.from({ length: 1_000 }, (_, index) => ({
              operator: 'MatMul',
              inputs: [`w${index}`, 'w0'],
              outputs: [index === 999 ? 'w' : `w${index + 1}`],
            })),
            ...PICK,
          ],
        }),
      ),
      expect: 'contained-at-load',
      runtime: 'hangs',
      call: null,
    },
    {
      name: 'folded-division',
      what: 'A division of constants that kills the process when the runtime works it out at load',
      files: files(
        onnxModel({
          inputs: [{ name: 'x', type: 'int32', dims: ['n'] }],
          outputs: [{ name: 'y', type: 'int32', dims: ['n'] }],
          nodes: [
            { operator: 'Div', inputs: ['least', 'minusOne'], outputs: ['w'] },
            { operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] },
          ],
          initialisers: [
            { name: 'least', type: 'int32', dims: [1], data: [-(2 ** 31)] },
            { name: 'minusOne', type: 'int32', dims: [1], data: [-1] },
          ],
        }),
      ),
      expect: 'contained-at-load',
      runtime: 'dies',
      call: null,
    },
  ];
}

function uncallable(): HostilePackage[] {
  const typed = (type: OnnxElementType) =>
    files(
      onnxModel({
        irVersion: 10,
        opsets: { '': 21 },
        inputs: [{ name: 'x', type, dims: ['n'] }],
        outputs: [{ name: 'y', type, dims: ['n'] }],
        nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
      }),
    );
  return [
    {
      ...refused,
      name: 'no-inputs',
      what: 'A model that takes nothing',
      files: files(network({ inputs: [], initialisers: [{ name: 'x', dims: [1], data: [1] }] })),
      runtime: 'answers',
      call: { inputs: [] },
    },
    {
      ...refused,
      name: 'no-outputs',
      what: 'A model that gives nothing',
      files: files(network({ outputs: [] })),
      runtime: 'fails the call',
      call: X_CALL,
    },
    {
      ...refused,
      name: 'same-inputs',
      what: 'Two inputs with one name',
      files: files(
        network({
          inputs: [
            { name: 'x', dims: ['n'] },
            { name: 'x', dims: ['n'] },
          ],
        }),
      ),
    },
    {
      ...refused,
      name: 'same-outputs',
      what: 'Two outputs with one name',
      files: files(
        network({
          outputs: [
            { name: 'y', dims: ['n'] },
            { name: 'y', dims: ['n'] },
          ],
        }),
      ),
      runtime: 'answers',
      call: X_CALL,
    },
    { ...refused, name: 'complex-input', what: 'An input of complex numbers', files: typed('complex64') },
    { ...refused, name: 'bfloat16-input', what: 'An input of a type that callers cannot send', files: typed('bfloat16') },
  ];
}

function atRun(): HostilePackage[] {
  const run = { expect: 'contained-at-run' } as const;
  const integerPair = {
    inputs: [
      { name: 'x', type: 'int32', dims: ['n'] },
      { name: 'divisor', type: 'int32', dims: ['n'] },
    ],
    outputs: [{ name: 'y', type: 'int32', dims: ['n'] }],
  } as const;
  const leastByMinusOne: HostileCall = {
    inputs: [
      { name: 'x', datatype: 'INT32', shape: [1], data: [-(2 ** 31)] },
      { name: 'divisor', datatype: 'INT32', shape: [1], data: [-1] },
    ],
  };
  const hiddenSize: readonly OnnxNode[] = [
    { operator: 'Shape', inputs: ['x'], outputs: ['shape'] },
    { operator: 'Sub', inputs: ['shape', 'shape'], outputs: ['nothing'] },
    { operator: 'Add', inputs: ['nothing', 'size'], outputs: ['hidden'] },
    { operator: 'ConstantOfShape', inputs: ['hidden'], outputs: ['w'] },
  ];
  return [
    {
      ...run,
      name: 'endless-loop',
      what: 'A loop without an end',
      files: files(network({ initialisers: [YES], nodes: [loop('', [{ operator: 'Identity', inputs: ['before'], outputs: ['after'] }])] })),
      runtime: 'hangs',
      call: X_CALL,
    },
    {
      ...run,
      name: 'growing-loop',
      what: 'A loop that doubles what it carries, for ever',
      files: files(
        network({
          initialisers: [YES],
          nodes: [loop('', [{ operator: 'Concat', inputs: ['before', 'before'], outputs: ['after'], attributes: { axis: { int: 0 } } }])],
        }),
      ),
      runtime: 'exhausts memory',
      call: X_CALL,
    },
    {
      ...run,
      name: 'hidden-constant',
      what: 'A tensor of 8 GB whose size is worked out when the model runs',
      files: files(network({ initialisers: [integers('size', 2 * GIGABYTE)], nodes: [...hiddenSize, ...PICK] })),
      runtime: 'exhausts memory',
      call: X_CALL,
    },
    {
      ...run,
      name: 'size-from-caller',
      what: 'A tensor as large as the caller says, 4 TB',
      files: files(
        onnxModel({
          inputs: [{ name: 'size', type: 'int64', dims: ['axes'] }],
          outputs: [{ name: 'y', dims: ['n'] }],
          nodes: [{ operator: 'ConstantOfShape', inputs: ['size'], outputs: ['y'] }],
        }),
      ),
      runtime: 'exhausts memory',
      call: { inputs: [{ name: 'size', datatype: 'INT64', shape: [1], data: [2 ** 40] }] },
    },
    {
      ...run,
      name: 'division',
      what: 'The least integer divided by -1, which the processor cannot do',
      files: files(onnxModel({ ...integerPair, nodes: [{ operator: 'Div', inputs: ['x', 'divisor'], outputs: ['y'] }] })),
      runtime: 'dies',
      call: leastByMinusOne,
    },
    {
      ...run,
      name: 'remainder',
      what: 'The remainder of the least integer by -1',
      files: files(onnxModel({ ...integerPair, nodes: [{ operator: 'Mod', inputs: ['x', 'divisor'], outputs: ['y'] }] })),
      runtime: 'dies',
      call: leastByMinusOne,
    },
    {
      ...run,
      name: 'division-by-zero',
      what: 'An integer divided by zero',
      files: files(onnxModel({ ...integerPair, nodes: [{ operator: 'Div', inputs: ['x', 'divisor'], outputs: ['y'] }] })),
      runtime: 'fails the call',
      call: {
        inputs: [
          { name: 'x', datatype: 'INT32', shape: [1], data: [1] },
          { name: 'divisor', datatype: 'INT32', shape: [1], data: [0] },
        ],
      },
    },
  ];
}

function harmless(): HostilePackage[] {
  const served = { expect: 'served', runtime: 'answers' } as const;
  const named = (name: string) =>
    files(
      onnxModel({
        inputs: [{ name, dims: ['n'] }],
        outputs: [{ name: `${name} out`, dims: ['n'] }],
        nodes: [{ operator: 'Neg', inputs: [name], outputs: [`${name} out`] }],
      }),
    );
  const floats = (name: string, shape: readonly number[], data: readonly number[]): HostileCall => ({
    inputs: [{ name, datatype: 'FP32', shape, data }],
  });
  return [
    {
      ...served,
      name: 'text-tensors',
      what: 'Text in and out',
      files: files(identityNetwork({ type: 'string' })),
      call: { inputs: [{ name: 'x', datatype: 'BYTES', shape: [2], data: ['a', 'b'] }] },
    },
    {
      ...served,
      name: 'no-elements',
      what: 'Tensors with an axis of size zero',
      files: files(identityNetwork({ dims: ['n', 3] })),
      call: floats('x', [0, 3], []),
    },
    {
      ...served,
      name: 'proto-name',
      what: 'An input with the name `__proto__`',
      files: named('__proto__'),
      call: floats('__proto__', [2], [1, 2]),
    },
    {
      ...served,
      name: 'json-name',
      what: 'An input whose name is JSON',
      files: named('{"x": [1]}/:0'),
      call: floats('{"x": [1]}/:0', [2], [1, 2]),
    },
    {
      ...served,
      name: 'external-inside',
      what: 'External data in a folder of the package, and more of it than is used',
      files: files(
        network({
          nodes: [MULTIPLY],
          initialisers: [{ name: 'w', dims: [1], external: { location: './data/weights.bin', offset: 4, length: 4 } }],
        }),
        {
          'data/weights.bin': Buffer.from(new Float32Array([3, 4, 5]).buffer),
        },
      ),
      call: X_CALL,
    },
    {
      ...served,
      name: 'branch',
      what: 'Branches',
      files: files(branchNetwork()),
      call: { inputs: [...X_CALL.inputs, { name: 'flag', datatype: 'BOOL', shape: [], data: [true] }] },
    },
    { ...served, name: 'scan', what: 'A scan over rows', files: files(cumulativeSumNetwork()), call: floats('x', [3, 1], [1, 2, 3]) },
  ];
}

/** An archive with one stored file: what publishers upload who have packed their folder. */
function zipOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt32LE(content.length, 18);
  header.writeUInt32LE(content.length, 22);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, Buffer.from(name), content]);
}

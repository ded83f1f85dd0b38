import { onnxModel, type OnnxGraph } from '@weir/testing';

/** y = x + x, for rows of any number. */
export const doubling = onnxModel({
  inputs: [{ name: 'x', dims: ['batch', 2] }],
  outputs: [{ name: 'y', dims: ['batch', 2] }],
  nodes: [{ operator: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
});

/** y = a / b in integers: INT_MIN / -1 overflows, and the processor traps (SIGFPE). */
export const dividing = onnxModel({
  inputs: [
    { name: 'a', type: 'int32', dims: ['n'] },
    { name: 'b', type: 'int32', dims: ['n'] },
  ],
  outputs: [{ name: 'y', type: 'int32', dims: ['n'] }],
  nodes: [{ operator: 'Div', inputs: ['a', 'b'], outputs: ['y'] }],
});

const loopBody: OnnxGraph = {
  inputs: [
    { name: 'iteration', type: 'int64', dims: [] },
    { name: 'go', type: 'bool', dims: [] },
    { name: 'value', dims: ['n'] },
  ],
  outputs: [
    { name: 'go_on', type: 'bool', dims: [] },
    { name: 'next', dims: ['n'] },
  ],
  nodes: [
    { operator: 'Identity', inputs: ['go'], outputs: ['go_on'] },
    { operator: 'Identity', inputs: ['value'], outputs: ['next'] },
  ],
};

/** Goes round for ever when its number is below zero. */
export const looping = onnxModel({
  inputs: [{ name: 'x', dims: ['n'] }],
  outputs: [{ name: 'y', dims: ['n'] }],
  initialisers: [
    { name: 'zero', dims: [], data: [0] },
    { name: 'for_ever', type: 'int64', dims: [], data: [9_223_372_036_854_775_807n] },
  ],
  nodes: [
    { operator: 'ReduceMin', inputs: ['x'], outputs: ['least'], attributes: { keepdims: { int: 0 } } },
    { operator: 'Less', inputs: ['least', 'zero'], outputs: ['is_below'] },
    { operator: 'Loop', inputs: ['for_ever', 'is_below', 'x'], outputs: ['y'], attributes: { body: { graph: loopBody } } },
  ],
});

/** Goes round for ever whatever it is given. */
export const endless = onnxModel({
  inputs: [{ name: 'x', dims: ['n'] }],
  outputs: [{ name: 'y', dims: ['n'] }],
  initialisers: [
    { name: 'for_ever', type: 'int64', dims: [], data: [9_223_372_036_854_775_807n] },
    { name: 'yes', type: 'bool', dims: [], data: Uint8Array.of(1) },
  ],
  nodes: [{ operator: 'Loop', inputs: ['for_ever', 'yes', 'x'], outputs: ['y'], attributes: { body: { graph: loopBody } } }],
});

/** Ends the process that loads it: the division is folded when the session is created. */
export const deadlyToLoad = onnxModel({
  inputs: [{ name: 'x', type: 'int32', dims: [1] }],
  outputs: [{ name: 'y', type: 'int32', dims: [1] }],
  initialisers: [
    { name: 'least', type: 'int32', dims: [1], data: [-2_147_483_648] },
    { name: 'minus_one', type: 'int32', dims: [1], data: [-1] },
  ],
  nodes: [
    { operator: 'Div', inputs: ['least', 'minus_one'], outputs: ['quotient'] },
    { operator: 'Add', inputs: ['x', 'quotient'], outputs: ['y'] },
  ],
});

import { onnxModel, type OnnxNode, type OnnxTensor } from '@weir/testing';

// Networks that find the bright part of a dark picture: the first and last row and column that reach 0.5. What they are certain of
// and what they call it is written in them.

const BATCH = 'batch';
const PIXELS = { name: 'pixel_values', dims: [BATCH, 3, 'height', 'width'] } as const;

const CONSTANTS: readonly OnnxTensor[] = [
  { name: 'half', dims: [], data: [0.5] },
  { name: 'one', dims: [], data: [1] },
  { name: 'zero', dims: [], data: [0] },
  { name: 'last_axis', type: 'int64', dims: [1], data: [1] },
];

/** Nodes that make `from_…` and `to_…`, float32 [batch, 1]: where the bright part begins and ends along an axis, in pixels. */
function extent(axis: 'x' | 'y'): OnnxNode[] {
  return [
    {
      operator: 'ReduceMax',
      inputs: [PIXELS.name],
      outputs: [`profile_${axis}`],
      attributes: { axes: { ints: [1, axis === 'x' ? 2 : 3] }, keepdims: { int: 0 } },
    },
    { operator: 'Greater', inputs: [`profile_${axis}`, 'half'], outputs: [`bright_${axis}`] },
    { operator: 'Cast', inputs: [`bright_${axis}`], outputs: [`marks_${axis}`], attributes: { to: { int: 1 } } },
    { operator: 'ArgMax', inputs: [`marks_${axis}`], outputs: [`first_${axis}`], attributes: { axis: { int: 1 } } },
    {
      operator: 'ArgMax',
      inputs: [`marks_${axis}`],
      outputs: [`last_${axis}`],
      attributes: { axis: { int: 1 }, select_last_index: { int: 1 } },
    },
    { operator: 'Cast', inputs: [`first_${axis}`], outputs: [`from_${axis}`], attributes: { to: { int: 1 } } },
    { operator: 'Cast', inputs: [`last_${axis}`], outputs: [`before_${axis}`], attributes: { to: { int: 1 } } },
    { operator: 'Add', inputs: [`before_${axis}`, 'one'], outputs: [`to_${axis}`] },
    { operator: 'Add', inputs: [`from_${axis}`, `to_${axis}`], outputs: [`sum_${axis}`] },
    { operator: 'Mul', inputs: [`sum_${axis}`, 'half'], outputs: [`middle_${axis}`] },
    { operator: 'Sub', inputs: [`to_${axis}`, `from_${axis}`], outputs: [`length_${axis}`] },
  ];
}

/** Nodes that make `size_…`, float32: pixels of the input along an axis, or of what the mask says is picture. */
function sizeAlong(axis: 'x' | 'y', hasMask: boolean): OnnxNode[] {
  const place = axis === 'x' ? 3 : 2;
  if (!hasMask)
    return [
      {
        operator: 'Shape',
        inputs: [PIXELS.name],
        outputs: [`shape_${axis}`],
        attributes: { start: { int: place }, end: { int: place + 1 } },
      },
      { operator: 'Cast', inputs: [`shape_${axis}`], outputs: [`size_${axis}`], attributes: { to: { int: 1 } } },
    ];
  return [
    { operator: 'Cast', inputs: ['pixel_mask'], outputs: [`mask_${axis}`], attributes: { to: { int: 1 } } },
    {
      operator: 'ReduceMax',
      inputs: [`mask_${axis}`],
      outputs: [`covered_${axis}`],
      attributes: { axes: { ints: [axis === 'x' ? 1 : 2] }, keepdims: { int: 0 } },
    },
    { operator: 'ReduceSum', inputs: [`covered_${axis}`, 'last_axis'], outputs: [`size_${axis}`] },
  ];
}

/**
 * Of DETR's kind: `logits` [batch, queries, classes] as given, `pred_boxes` [batch, queries, 4] all around the bright part.
 *
 * @param logits of each query
 */
export function queryDetector(logits: readonly (readonly number[])[], { hasMask = false }: { readonly hasMask?: boolean } = {}): Buffer {
  const [queries, classes] = [logits.length, logits[0]?.length ?? 0];
  return onnxModel({
    inputs: [PIXELS, ...(hasMask ? [{ name: 'pixel_mask', type: 'int64' as const, dims: [BATCH, 'height', 'width'] }] : [])],
    outputs: [
      { name: 'logits', dims: [BATCH, queries, classes] },
      { name: 'pred_boxes', dims: [BATCH, queries, 4] },
    ],
    nodes: [
      ...extent('x'),
      ...extent('y'),
      ...sizeAlong('x', hasMask),
      ...sizeAlong('y', hasMask),
      { operator: 'Div', inputs: ['middle_x', 'size_x'], outputs: ['cx'] },
      { operator: 'Div', inputs: ['middle_y', 'size_y'], outputs: ['cy'] },
      { operator: 'Div', inputs: ['length_x', 'size_x'], outputs: ['w'] },
      { operator: 'Div', inputs: ['length_y', 'size_y'], outputs: ['h'] },
      { operator: 'Concat', inputs: ['cx', 'cy', 'w', 'h'], outputs: ['box'], attributes: { axis: { int: 1 } } },
      { operator: 'Unsqueeze', inputs: ['box', 'last_axis'], outputs: ['one_box'] },
      { operator: 'Add', inputs: ['one_box', 'no_offsets'], outputs: ['pred_boxes'] },
      { operator: 'Mul', inputs: ['one_box', 'zero'], outputs: ['nothing'] },
      { operator: 'ReduceMax', inputs: ['nothing'], outputs: ['no_logit'], attributes: { axes: { ints: [2] } } },
      { operator: 'Add', inputs: ['no_logit', 'constant_logits'], outputs: ['logits'] },
    ],
    initialisers: [
      ...CONSTANTS,
      { name: 'no_offsets', dims: [1, queries, 4], data: Array.from({ length: queries * 4 }, () => 0) },
      { name: 'constant_logits', dims: [1, queries, classes], data: logits.flat() },
    ],
  });
}

/** What a box of the network below says beside its place. */
export interface AnchorNumbers {
  /** Moves the box to the right. */
  readonly shift: number;
  /** Scores: of the classes, or of the objectness and the classes. */
  readonly scores: readonly number[];
}

/**
 * Of YOLO's kind: boxes around the bright part in pixels of the input, with scores as given.
 *
 * @param anchorAxis 2: [batch, 4 + scores, boxes]; 1: [batch, boxes, 4 + scores]
 */
export function anchorDetector(anchors: readonly AnchorNumbers[], anchorAxis: 1 | 2): Buffer {
  const [count, scores] = [anchors.length, anchors[0]?.scores.length ?? 0];
  return onnxModel({
    inputs: [{ ...PIXELS, name: PIXELS.name }],
    outputs: [{ name: 'output0', dims: anchorAxis === 2 ? [BATCH, 4 + scores, count] : [BATCH, count, 4 + scores] }],
    nodes: [
      ...extent('x'),
      ...extent('y'),
      { operator: 'Concat', inputs: ['middle_x', 'middle_y', 'length_x', 'length_y'], outputs: ['box'], attributes: { axis: { int: 1 } } },
      { operator: 'Unsqueeze', inputs: ['box', 'last_axis'], outputs: ['one_box'] },
      { operator: 'Add', inputs: ['one_box', 'offsets'], outputs: ['boxes'] },
      { operator: 'Mul', inputs: ['one_box', 'zero'], outputs: ['nothing'] },
      { operator: 'ReduceMax', inputs: ['nothing'], outputs: ['no_score'], attributes: { axes: { ints: [2] } } },
      { operator: 'Add', inputs: ['no_score', 'constant_scores'], outputs: ['scores'] },
      {
        operator: 'Concat',
        inputs: ['boxes', 'scores'],
        outputs: [anchorAxis === 1 ? 'output0' : 'rows'],
        attributes: { axis: { int: 2 } },
      },
      ...(anchorAxis === 1
        ? []
        : [{ operator: 'Transpose', inputs: ['rows'], outputs: ['output0'], attributes: { perm: { ints: [0, 2, 1] } } }]),
    ],
    initialisers: [
      ...CONSTANTS,
      { name: 'offsets', dims: [1, count, 4], data: anchors.flatMap(({ shift }) => [shift, 0, 0, 0]) },
      { name: 'constant_scores', dims: [1, count, scores], data: anchors.flatMap((anchor) => anchor.scores) },
    ],
  });
}

import type { ElementType } from './element-types.ts';
import type { Expansion } from './onnx-model.ts';

/** A tensor of a graph whose shape, and maybe whose numbers, stand in the file. */
export interface KnownTensor {
  readonly elementType: ElementType;
  readonly dims: readonly number[];
  /** Whole numbers, where there are so few that they may be a shape. */
  readonly shape: readonly number[] | null;
}

/** A node that makes a large tensor out of a small one. */
export interface ExpandingNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Of the attribute `value` of ConstantOfShape. */
  readonly elementType: ElementType | null;
  /** The attribute `shape` of those that need no input. */
  readonly shape: readonly number[] | null;
}

export const EXPANDING_OPERATORS: ReadonlySet<string> = new Set(['ConstantOfShape', 'Expand', 'Tile', 'RandomNormal', 'RandomUniform']);

const FLOAT_BITS = 32;
const LEAST_BITS = 8;

/** What a node makes at least; null when the file does not tell, because a shape is computed. */
export function expansionOf(node: ExpandingNode, known: ReadonlyMap<string, KnownTensor>): Expansion | null {
  const [first, second] = node.inputs.map((name) => known.get(name));
  const firstBits = first?.elementType.bits ?? LEAST_BITS;
  switch (node.operator) {
    case 'ConstantOfShape':
      return expansion(node, first?.shape ?? null, node.elementType?.bits ?? FLOAT_BITS, true);
    case 'RandomNormal':
    case 'RandomUniform':
      return expansion(node, node.shape, LEAST_BITS, false);
    case 'Expand': {
      const shape = second?.shape ?? null;
      // What is expanded has at least the axes of the shape.
      if (first === undefined || shape === null) return expansion(node, shape, LEAST_BITS, false);
      return expansion(node, broadcast(first.dims, shape), firstBits, true);
    }
    case 'Tile': {
      const repeats = second?.shape ?? null;
      if (first === undefined || repeats === null) return null;
      const dims = first.dims.map((size, axis) => size * (repeats[axis] ?? 1));
      return expansion(node, dims, firstBits, true);
    }
    default:
      return null;
  }
}

function expansion(node: ExpandingNode, dims: readonly number[] | null, bits: number, isConstant: boolean): Expansion | null {
  if (dims === null || dims.some((size) => size < 0)) return null;
  const elements = dims.includes(0) ? 0 : dims.reduce((product, size) => product * size, 1);
  return { operator: node.operator, name: node.output, sizeBytes: Math.ceil((elements * bits) / 8), isConstant };
}

/** The greater size of each axis, counted from the last. */
function broadcast(one: readonly number[], other: readonly number[]): number[] {
  const rank = Math.max(one.length, other.length);
  return Array.from({ length: rank }, (_, axis) => Math.max(one[axis - rank + one.length] ?? 1, other[axis - rank + other.length] ?? 1));
}

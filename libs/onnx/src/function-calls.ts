import { MAX_FUNCTION_DEPTH, MAX_NODES } from './reading-limits.ts';
import type { WireCursor } from './wire-cursor.ts';

/** A body of nodes, and how often it calls each function of the model. */
export interface CallingBody {
  readonly nodes: number;
  /** By key of the function; keys that are no function's do not count. */
  readonly calls: ReadonlyMap<string, number>;
}

interface Inlined {
  /** With each call replaced by the function's body. */
  readonly nodes: number;
  /** Functions that call functions. */
  readonly depth: number;
}

/**
 * Checks what ONNX Runtime makes of functions when it loads a model: it replaces each call by the body, so that a file of two
 * kilobytes can become a thousand million nodes.
 *
 * @throws model.package_invalid functions call themselves, or too deep, or become too many nodes
 */
export function assertInlinable(cursor: WireCursor, graph: CallingBody, functions: ReadonlyMap<string, CallingBody>): void {
  const known = new Map<string, Inlined>();
  const open = new Set<string>();

  const inlinedFunction = (key: string, body: CallingBody): Inlined => {
    const before = known.get(key);
    if (before !== undefined) return before;
    if (open.has(key)) throw cursor.invalid('one of its functions calls itself');
    if (open.size === MAX_FUNCTION_DEPTH) throw cursor.invalid(`its functions call each other more than ${MAX_FUNCTION_DEPTH} deep`);
    open.add(key);
    const inlined = inlinedBody(body);
    open.delete(key);
    known.set(key, inlined);
    return inlined;
  };

  const inlinedBody = (body: CallingBody): Inlined => {
    let { nodes } = body;
    let depth = 0;
    for (const [key, times] of body.calls) {
      const callee = functions.get(key);
      if (callee === undefined) continue;
      const inner = inlinedFunction(key, callee);
      nodes += times * inner.nodes;
      depth = Math.max(depth, inner.depth + 1);
    }
    if (depth > MAX_FUNCTION_DEPTH) throw cursor.invalid(`its functions call each other more than ${MAX_FUNCTION_DEPTH} deep`);
    if (nodes > MAX_NODES) throw cursor.invalid(`it has more than ${MAX_NODES} nodes once its functions are put in place`);
    return { nodes, depth };
  };

  for (const [key, body] of functions) inlinedFunction(key, body);
  inlinedBody(graph);
}

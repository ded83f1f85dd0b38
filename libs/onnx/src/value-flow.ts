import type { WireCursor } from './wire-cursor.ts';

/** A node as far as values flow through it. An empty name stands for what is left out. */
export interface FlowNode {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * Follows the values of a graph: each is given once, and no node waits for itself.
 *
 * @param given what the graph has without its nodes: inputs and weights
 * @param results what it gives
 * @returns names that it uses and does not have: they have to be in the graph around it
 * @throws model.package_invalid
 */
export function outerNames(
  cursor: WireCursor,
  nodes: readonly FlowNode[],
  given: ReadonlySet<string>,
  results: readonly string[],
): ReadonlySet<string> {
  const giver = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    for (const name of node.outputs) {
      if (name === '') continue;
      if (giver.has(name) || given.has(name)) throw cursor.invalid(`the value ${JSON.stringify(name.slice(0, 80))} is given twice`);
      giver.set(name, index);
    }
  }
  const outer = new Set<string>();
  const waiting = new Int32Array(nodes.length);
  const consumers: number[][] = nodes.map(() => []);
  for (const [index, node] of nodes.entries()) {
    for (const name of node.inputs) {
      const from = giver.get(name);
      if (from !== undefined) {
        waiting[index] = (waiting[index] ?? 0) + 1;
        consumers[from]?.push(index);
      } else if (name !== '' && !given.has(name)) outer.add(name);
    }
  }
  for (const name of results) if (!giver.has(name) && !given.has(name)) outer.add(name);
  if (hasCircle(waiting, consumers)) throw cursor.invalid('nodes wait for each other in a circle');
  return outer;
}

/** @param waiting for how many values each node waits; used up */
function hasCircle(waiting: Int32Array, consumers: readonly (readonly number[])[]): boolean {
  const ready = [...waiting.keys()].filter((index) => waiting[index] === 0);
  let done = 0;
  for (let index = ready.pop(); index !== undefined; index = ready.pop()) {
    done++;
    for (const consumer of consumers[index] ?? []) {
      const left = (waiting[consumer] ?? 0) - 1;
      waiting[consumer] = left;
      if (left === 0) ready.push(consumer);
    }
  }
  return done < waiting.length;
}

import { expansionOf, EXPANDING_OPERATORS, type ExpandingNode, type KnownTensor } from './expansions.ts';
import { INT64 } from './element-types.ts';
import { assertInlinable, type CallingBody } from './function-calls.ts';
import type { Expansion, OnnxTensor, OnnxValue } from './onnx-model.ts';
import {
  MAX_AXES,
  MAX_FUNCTIONS,
  MAX_GRAPH_DEPTH,
  MAX_NAME_BYTES,
  MAX_NAMES_BYTES,
  MAX_NODES,
  MAX_PUBLIC_NAME_BYTES,
  MAX_TENSORS,
  MAX_VALUES,
} from './reading-limits.ts';
import { readSparseTensor, readTensor, type ReadTensor } from './tensor-reader.ts';
import { readValue } from './value-reader.ts';
import { outerNames, type FlowNode } from './value-flow.ts';
import type { Walk, WireCursor } from './wire-cursor.ts';

/** A graph that was read, as far as the graph around it needs to know it. */
interface ReadGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Names of its weights. */
  readonly weights: ReadonlySet<string>;
  /** What it uses of the graph around it. */
  readonly outer: ReadonlySet<string>;
  /** Nodes whose shape may be known in the graph around it. */
  readonly unknown: readonly ExpandingNode[];
}

/** What one graph, or the body of a function, has while it is read. */
class Body {
  /** Graphs around it. */
  readonly depth: number;
  /** How often it and its subgraphs call each operator. */
  readonly calls: Map<string, number>;
  readonly inputs: OnnxValue[] = [];
  readonly outputs: OnnxValue[] = [];
  readonly weights = new Set<string>();
  readonly nodes: FlowNode[] = [];
  readonly known = new Map<string, KnownTensor>();
  readonly expanding: ExpandingNode[] = [];

  constructor(depth: number, calls: Map<string, number>) {
    this.depth = depth;
    this.calls = calls;
  }
}

/** A node while it is read. */
class NodeFields {
  readonly inputs: string[] = [];
  readonly outputs: string[] = [];
  operator = '';
  domain = '';
  overload = '';
  /** What its subgraphs use of the graph that it stands in. */
  readonly captured = new Set<string>();
  value: ReadTensor | null = null;
  numbers: readonly number[] | null = null;
  shape: readonly number[] | null = null;
}

/** Reads graphs and functions, and counts what they have together. */
export class GraphReader {
  readonly #cursor: WireCursor;
  readonly tensors: OnnxTensor[] = [];
  readonly expansions: Expansion[] = [];
  readonly functions = new Map<string, { readonly domain: string; readonly name: string; readonly body: CallingBody }>();
  readonly operators = new Map<string, { readonly domain: string; readonly operator: string; nodes: number }>();
  subgraphs = 0;
  deepest = 0;
  #nodes = 0;
  #nameBytes = 0;
  #graphCalls = new Map<string, number>();
  #graphNodes = 0;

  constructor(cursor: WireCursor) {
    this.#cursor = cursor;
  }

  /** The model's own graph, which the cursor stands on. */
  *readMainGraph(): Walk<ReadGraph> {
    const before = this.#nodes;
    const graph = yield* this.#readGraph(0, this.#graphCalls);
    this.#graphNodes = this.#nodes - before;
    const [missing] = graph.outer;
    if (missing !== undefined) throw this.#cursor.invalid(`nothing gives the value ${JSON.stringify(missing.slice(0, 80))}`);
    return graph;
  }

  /** An operator that the model defines (`FunctionProto`), which the cursor stands on. */
  *readFunction(): Walk<void> {
    const cursor = this.#cursor;
    if (this.functions.size === MAX_FUNCTIONS) throw cursor.invalid(`more than ${MAX_FUNCTIONS} functions`);
    const before = this.#nodes;
    const body = new Body(0, new Map());
    const inputs = new Set<string>();
    const outputs: string[] = [];
    let [name, domain, overload] = ['', '', ''];
    const end = cursor.enter('a function');
    while (yield* cursor.next(end)) {
      if (cursor.field === 1) name = yield* cursor.text('the name of a function', MAX_PUBLIC_NAME_BYTES);
      else if (cursor.field === 4) inputs.add(yield* this.#name('an input of a function'));
      else if (cursor.field === 5) outputs.push(yield* this.#name('an output of a function'));
      else if (cursor.field === 7) yield* this.#readNode(body);
      else if (cursor.field === 11) yield* this.#readAttribute(body, new NodeFields());
      else if (cursor.field === 10) domain = yield* cursor.text('the domain of a function', MAX_PUBLIC_NAME_BYTES);
      else if (cursor.field === 13) overload = yield* cursor.text('the name of a function', MAX_PUBLIC_NAME_BYTES);
    }
    const [missing] = outerNames(cursor, body.nodes, inputs, outputs);
    if (missing !== undefined) throw cursor.invalid(`nothing gives the value ${JSON.stringify(missing.slice(0, 80))} of a function`);
    this.#expand(body);
    const key = operatorKey(domain, name, overload);
    if (this.functions.has(key)) throw cursor.invalid(`the function ${JSON.stringify(name)} is defined twice`);
    this.functions.set(key, { domain: canonical(domain), name, body: { nodes: this.#nodes - before, calls: body.calls } });
  }

  /** To be called when everything was read: functions may stand behind the nodes that call them. */
  assertInlinable(): void {
    const bodies = new Map([...this.functions].map(([key, { body }]) => [key, body]));
    assertInlinable(this.#cursor, { nodes: this.#graphNodes, calls: this.#graphCalls }, bodies);
  }

  *#readGraph(depth: number, calls: Map<string, number>): Walk<ReadGraph> {
    const cursor = this.#cursor;
    if (depth > MAX_GRAPH_DEPTH) throw cursor.invalid(`graphs stand in each other more than ${MAX_GRAPH_DEPTH} deep`);
    this.deepest = Math.max(this.deepest, depth);
    const body = new Body(depth, calls);
    const end = cursor.enter('a graph');
    while (yield* cursor.next(end)) yield* this.#readGraphField(body);
    const given = new Set([...body.inputs.map(({ name }) => name), ...body.weights]);
    const results = body.outputs.map(({ name }) => name);
    const outer = outerNames(cursor, body.nodes, given, results);
    return { inputs: body.inputs, outputs: body.outputs, weights: body.weights, outer, unknown: this.#expand(body) };
  }

  *#readGraphField(body: Body): Walk<void> {
    const cursor = this.#cursor;
    switch (cursor.field) {
      case 1:
        return yield* this.#readNode(body);
      case 5: {
        const tensor = this.#keep(yield* readTensor(cursor, 'initialiser'));
        this.#noteWeight(body, tensor);
        body.known.set(tensor.name, tensor);
        return;
      }
      case 15: {
        const [tensor, positions] = yield* readSparseTensor(cursor);
        this.#keep(positions);
        this.#noteWeight(body, this.#keep(tensor));
        body.known.set(tensor.name, { ...tensor, shape: null });
        return;
      }
      case 11:
        this.#noteValue(body.inputs, yield* readValue(cursor, 'an input'), 'inputs');
        return;
      case 12:
        this.#noteValue(body.outputs, yield* readValue(cursor, 'an output'), 'outputs');
    }
  }

  #noteWeight(body: Body, tensor: OnnxTensor): void {
    this.#countName(tensor.name);
    if (body.weights.has(tensor.name)) throw this.#cursor.invalid(`the weight ${JSON.stringify(tensor.name.slice(0, 80))} is there twice`);
    body.weights.add(tensor.name);
  }

  #noteValue(values: OnnxValue[], value: OnnxValue, what: string): void {
    if (values.length === MAX_VALUES) throw this.#cursor.invalid(`a graph has more than ${MAX_VALUES} ${what}`);
    this.#countName(value.name);
    values.push(value);
  }

  #keep<T extends OnnxTensor>(tensor: T): T {
    if (this.tensors.length === MAX_TENSORS) throw this.#cursor.invalid(`more than ${MAX_TENSORS} tensors`);
    const { name, role, elementType, dims, elements, sizeBytes, storage } = tensor;
    this.tensors.push({ name, role, elementType, dims, elements, sizeBytes, storage });
    return tensor;
  }

  *#name(what: string): Walk<string> {
    const name = yield* this.#cursor.text(what, MAX_NAME_BYTES);
    this.#countName(name);
    return name;
  }

  #countName(name: string): void {
    this.#nameBytes += name.length;
    if (this.#nameBytes > MAX_NAMES_BYTES) throw this.#cursor.invalid(`its names are longer than ${MAX_NAMES_BYTES} bytes together`);
  }

  *#readNode(body: Body): Walk<void> {
    const cursor = this.#cursor;
    if (++this.#nodes > MAX_NODES) throw cursor.invalid(`more than ${MAX_NODES} nodes`);
    const node = new NodeFields();
    const end = cursor.enter('a node');
    while (yield* cursor.next(end)) {
      if (cursor.field === 1) node.inputs.push(yield* this.#name('an input of a node'));
      else if (cursor.field === 2) node.outputs.push(yield* this.#name('an output of a node'));
      else if (cursor.field === 4) node.operator = yield* cursor.text('an operator', MAX_PUBLIC_NAME_BYTES);
      else if (cursor.field === 5) yield* this.#readAttribute(body, node);
      else if (cursor.field === 7) node.domain = canonical(yield* cursor.text('the domain of an operator', MAX_PUBLIC_NAME_BYTES));
      else if (cursor.field === 8) node.overload = yield* cursor.text('an operator', MAX_PUBLIC_NAME_BYTES);
    }
    this.#noteNode(body, node);
  }

  #noteNode(body: Body, node: NodeFields): void {
    const { operator, domain, overload, inputs, outputs, captured } = node;
    const key = operatorKey(domain, operator, overload);
    const count = this.operators.get(key);
    if (count === undefined) this.operators.set(key, { domain, operator, nodes: 1 });
    else count.nodes++;
    body.calls.set(key, (body.calls.get(key) ?? 0) + 1);
    body.nodes.push({ inputs: captured.size === 0 ? inputs : [...inputs, ...captured], outputs });
    const [output] = outputs;
    if (output === undefined || domain !== '') return;
    if (operator === 'Constant') noteConstant(body, output, node);
    if (EXPANDING_OPERATORS.has(operator))
      body.expanding.push({ operator, inputs, output, elementType: node.value?.elementType ?? null, shape: node.shape });
  }

  /** `AttributeProto`: what a node holds. */
  *#readAttribute(body: Body, node: NodeFields): Walk<void> {
    const cursor = this.#cursor;
    let name = '';
    let tensor: ReadTensor | null = null;
    const integers: bigint[] = [];
    const seen = new Set<number>();
    const end = cursor.enter('an attribute');
    while (yield* cursor.next(end)) {
      const { field } = cursor;
      // Protocol Buffers would merge two of them into one that nobody has checked.
      if ((field === 5 || field === 6 || field === 22) && seen.has(field)) throw cursor.invalid('an attribute has its value twice');
      seen.add(field);
      if (field === 1) name = yield* cursor.text('the name of an attribute', MAX_PUBLIC_NAME_BYTES);
      else if (field === 3) integers.push(cursor.integer);
      else if (field === 5 || field === 10) tensor = this.#keep(yield* readTensor(cursor, 'constant'));
      else if (field === 6 || field === 11) yield* this.#readSubgraph(body, node);
      else if (field === 8 && integers.length <= MAX_AXES) yield* cursor.integers('an attribute', integers, Infinity);
      else if (field === 22 || field === 23) for (const each of yield* readSparseTensor(cursor)) this.#keep(each);
    }
    if (name === 'value') node.value = tensor;
    if (name === 'value_ints' || name === 'value_int') node.numbers = integers.map(Number);
    if (name === 'shape') node.shape = integers.map(Number);
  }

  *#readSubgraph(body: Body, node: NodeFields): Walk<void> {
    this.subgraphs++;
    const graph = yield* this.#readGraph(body.depth + 1, body.calls);
    for (const name of graph.outer) node.captured.add(name);
    body.expanding.push(...graph.unknown);
  }

  /** Works out what nodes of a body make; gives those whose shape is not known in it. */
  #expand(body: Body): ExpandingNode[] {
    return body.expanding.filter((node) => {
      const expansion = expansionOf(node, body.known);
      if (expansion === null) return true;
      this.expansions.push(expansion);
      return false;
    });
  }
}

function noteConstant(body: Body, output: string, { value, numbers }: NodeFields): void {
  if (value !== null) body.known.set(output, value);
  else if (numbers !== null) body.known.set(output, { elementType: INT64, dims: [numbers.length], shape: numbers });
}

/** `ai.onnx` is the long name of ONNX's own operators. */
function canonical(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function operatorKey(domain: string, operator: string, overload: string): string {
  return JSON.stringify([canonical(domain), operator, overload]);
}

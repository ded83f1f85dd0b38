import type { ElementType } from './element-types.ts';

/** An axis of a tensor: its size, the name of a size that may vary, or null when it may vary and has no name. */
export type Axis = number | string | null;

/** What a graph takes or gives. */
export interface OnnxValue {
  readonly name: string;
  /** Null where it is no tensor but a list, a map, an optional or a sparse tensor. */
  readonly elementType: ElementType | null;
  /** Null where the model leaves open how many axes there are. */
  readonly axes: readonly Axis[] | null;
}

/** Where the numbers of a tensor are. */
export type TensorStorage =
  /** In the model file. `content` is null where they are not written as they lie in memory. */
  | { readonly kind: 'inline'; readonly bytes: number; readonly content: { readonly offset: number; readonly bytes: number } | null }
  /** In another file; `location` as the model says it, relative to its own folder. `bytes` is null where the model does not say. */
  | { readonly kind: 'external'; readonly location: string; readonly offset: number; readonly bytes: number | null };

/** Numbers that belong to the model. */
export interface OnnxTensor {
  readonly name: string;
  /**
   * `initialiser`: a weight of a graph. `sparse`: one that is mostly zeros and has all its elements in memory once it is loaded.
   * `constant`: what a node holds.
   */
  readonly role: 'initialiser' | 'sparse' | 'constant';
  readonly elementType: ElementType;
  readonly dims: readonly number[];
  readonly elements: number;
  /** What the elements take in memory; for text the bytes that are in the file. */
  readonly sizeBytes: number;
  readonly storage: TensorStorage;
}

/** A large tensor that a node makes out of a small one, where its size stands in the model. */
export interface Expansion {
  readonly operator: string;
  /** What the node gives. */
  readonly name: string;
  /** At least. */
  readonly sizeBytes: number;
  /** ONNX Runtime may make it when it loads the model, and keep it. */
  readonly isConstant: boolean;
}

/** An ONNX file as it describes itself. Nothing of it was run. */
export interface OnnxModel {
  /** Path in the package. */
  readonly path: string;
  readonly fileBytes: number;
  readonly irVersion: number;
  readonly producer: { readonly name: string; readonly version: string };
  /** Version of each set of operators that the model is written for, by domain; `''` is ONNX itself. */
  readonly opsets: ReadonlyMap<string, number>;
  /** Notes of the publisher; those longer than 64 KiB are left out. */
  readonly metadata: ReadonlyMap<string, string>;
  /** What a caller has to give: inputs of the graph that have no value in the model. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** How often each operator stands in the model, with its functions and subgraphs. */
  readonly operators: readonly { readonly domain: string; readonly operator: string; readonly nodes: number }[];
  /** Of every graph, function and node. */
  readonly tensors: readonly OnnxTensor[];
  readonly expansions: readonly Expansion[];
  /** Operators that the model itself defines. */
  readonly functions: readonly { readonly domain: string; readonly name: string }[];
  /** Graphs inside nodes (branches, bodies of loops), and how deep they stand in each other. */
  readonly subgraphs: { readonly count: number; readonly depth: number };
}

/** Numbers that a model has learnt, or was given: elements of its weights as they are stored. */
export function parameterCount(model: OnnxModel): number {
  return model.tensors.reduce((sum, { elements }) => sum + elements, 0);
}

/** What the weights take in memory when each is there once. */
export function weightBytes(model: OnnxModel): number {
  return model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

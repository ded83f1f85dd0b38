import { onnxModel } from '@weir/testing';

/** Rows of numbers that a network knows by token id. */
export type TokenTable = readonly (readonly number[])[];

const tokens = (name: string) => ({ name, type: 'int64', dims: ['texts', 'tokens'] }) as const;

/**
 * Looks each token up in a table: `[texts, tokens] -> [texts, tokens, size]`. With it the answer for a token does not depend on
 * its neighbours, and padding that is not cut off shows.
 */
export function tokenNetwork(table: TokenTable, output: string): Buffer {
  const size = table[0]?.length ?? 0;
  return onnxModel({
    inputs: [tokens('input_ids'), tokens('attention_mask')],
    outputs: [{ name: output, dims: ['texts', 'tokens', size] }],
    nodes: [
      { operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['found'] },
      { operator: 'Cast', inputs: ['attention_mask'], outputs: ['mask'], attributes: { to: { int: 1 } } },
      { operator: 'ReduceMax', inputs: ['mask'], outputs: ['one'] },
      { operator: 'Mul', inputs: ['found', 'one'], outputs: [output] },
    ],
    initialisers: [{ name: 'table', dims: [table.length, size], data: table.flat() }],
  });
}

/** The sum of the tokens that the mask lets through: `[texts, tokens] -> [texts, size]`. */
export function sumNetwork(table: TokenTable, output: string): Buffer {
  const size = table[0]?.length ?? 0;
  return onnxModel({
    inputs: [tokens('input_ids'), tokens('attention_mask'), tokens('token_type_ids')],
    outputs: [{ name: output, dims: ['texts', size] }],
    nodes: [
      { operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['found'] },
      { operator: 'Add', inputs: ['attention_mask', 'token_type_ids'], outputs: ['kept'] },
      { operator: 'Cast', inputs: ['kept'], outputs: ['mask'], attributes: { to: { int: 1 } } },
      { operator: 'Unsqueeze', inputs: ['mask', 'last'], outputs: ['column'] },
      { operator: 'Mul', inputs: ['found', 'column'], outputs: ['counted'] },
      { operator: 'ReduceSum', inputs: ['counted', 'middle'], outputs: [output], attributes: { keepdims: { int: 0 } } },
    ],
    initialisers: [
      { name: 'table', dims: [table.length, size], data: table.flat() },
      { name: 'last', type: 'int64', dims: [1], data: [2] },
      { name: 'middle', type: 'int64', dims: [1], data: [1] },
    ],
  });
}

/** `last_hidden_state` of each token, and a `sentence_embedding` that says something else, as sentence-transformers exports them. */
export function sentenceNetwork(table: TokenTable, sentence: readonly number[]): Buffer {
  const size = sentence.length;
  return onnxModel({
    inputs: [tokens('input_ids'), tokens('attention_mask')],
    outputs: [
      { name: 'last_hidden_state', dims: ['texts', 'tokens', size] },
      { name: 'sentence_embedding', dims: ['texts', size] },
    ],
    nodes: [
      { operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['last_hidden_state'] },
      { operator: 'Cast', inputs: ['attention_mask'], outputs: ['mask'], attributes: { to: { int: 1 } } },
      { operator: 'ReduceMax', inputs: ['mask'], outputs: ['one'], attributes: { axes: { ints: [1] } } },
      { operator: 'Mul', inputs: ['one', 'sentence'], outputs: ['sentence_embedding'] },
    ],
    initialisers: [
      { name: 'table', dims: [table.length, size], data: table.flat() },
      { name: 'sentence', dims: [size], data: sentence },
    ],
  });
}

/** A table for as many tokens as there are, zero but for the rows that are given. */
export function aTokenTable(
  size: number,
  width: number,
  rows: Readonly<Record<number, readonly number[]>>,
  others?: readonly number[],
): TokenTable {
  return Array.from({ length: size }, (_, id) => rows[id] ?? others ?? Array.from({ length: width }, () => 0));
}

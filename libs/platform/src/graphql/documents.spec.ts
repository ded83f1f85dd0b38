import { buildSchema } from 'graphql';
import { expect, test } from 'vitest';
import { Documents } from './documents.ts';
import { DEFAULT_GRAPH_LIMITS } from './limits.ts';

const schema = buildSchema('type Query { hello: String }');
const filler = (i: number, size = 0): string => `{ a${i}: hello } # ${'x'.repeat(size)}`;

test('a document is prepared once, and forgotten when many others came after it', () => {
  const documents = new Documents(schema, DEFAULT_GRAPH_LIMITS);
  const first = documents.prepare('{ hello }', null);
  expect(documents.prepare('{ hello }', undefined)).toBe(first);
  for (let i = 0; i < 1_000; i++) documents.prepare(filler(i), null);
  expect(documents.prepare('{ hello }', null)).not.toBe(first);
});

test('large documents count for more: their text together is bounded', () => {
  const documents = new Documents(schema, DEFAULT_GRAPH_LIMITS);
  const first = documents.prepare('{ hello }', null);
  for (let i = 0; i < 45; i++) documents.prepare(filler(i, 90_000), null);
  expect(documents.prepare('{ hello }', null)).not.toBe(first);
});

test('a document that is not valid takes no place', () => {
  const documents = new Documents(schema, DEFAULT_GRAPH_LIMITS);
  const first = documents.prepare('{ hello }', null);
  for (let i = 0; i < 1_500; i++) expect(Array.isArray(documents.prepare(`{ nothing${i} }`, null))).toBe(true);
  expect(documents.prepare('{ hello }', null)).toBe(first);
});

test.each([
  ['a variable', '$input: Input!', 'input: $input', { input: {} }],
  ['a list in a variable', '$input: Outer!', 'outer: $input', { input: { inner: [{}] } }],
])('a field with a default may be left out of %s, however often the document is used', async (_, declared, given, variableValues) => {
  const withDefault = buildSchema(`
    enum Kind { PLAIN FANCY }
    input Input { kind: Kind! = PLAIN }
    input Outer { inner: [Input!]! }
    type Query { hello(input: Input, outer: Outer): String }
  `);
  const documents = new Documents(withDefault, DEFAULT_GRAPH_LIMITS);
  const rootValue = { hello: (values: unknown) => JSON.stringify(values) };
  for (let use = 1; use <= 4; use++) {
    const prepared = documents.prepare(`query (${declared}) { hello(${given}) }`, null);
    if (!('node' in prepared)) throw new Error(String(prepared));
    const result = await documents.execute(prepared, { schema: withDefault, document: prepared.document, rootValue, variableValues });
    expect(result).toEqual({ data: { hello: expect.stringContaining('"kind":"PLAIN"') } });
  }
});

test('an input that may hold itself is taken, however often the document is used', async () => {
  const recursive = buildSchema('input Tree { name: String left: Tree right: Tree } type Query { depth(tree: Tree): String }');
  const documents = new Documents(recursive, DEFAULT_GRAPH_LIMITS);
  const rootValue = { depth: (values: unknown) => JSON.stringify(values) };
  const variableValues = { tree: { left: { right: { name: 'leaf' } } } };
  for (let use = 1; use <= 3; use++) {
    const prepared = documents.prepare('query ($tree: Tree) { depth(tree: $tree) }', null);
    if (!('node' in prepared)) throw new Error(String(prepared));
    const result = await documents.execute(prepared, { schema: recursive, document: prepared.document, rootValue, variableValues });
    expect(result).toEqual({ data: { depth: JSON.stringify(variableValues) } });
  }
});

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
  for (let i = 0; i < 5; i++) documents.prepare(filler(i, 900_000), null);
  expect(documents.prepare('{ hello }', null)).not.toBe(first);
});

test('a document that is not valid takes no place', () => {
  const documents = new Documents(schema, DEFAULT_GRAPH_LIMITS);
  const first = documents.prepare('{ hello }', null);
  for (let i = 0; i < 1_500; i++) expect(Array.isArray(documents.prepare(`{ nothing${i} }`, null))).toBe(true);
  expect(documents.prepare('{ hello }', null)).toBe(first);
});

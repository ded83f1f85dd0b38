import { buildSchema, GraphQLError, GraphQLScalarType, parse, type OperationDefinitionNode } from 'graphql';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from '../telemetry/index.ts';
import { GraphContext } from './graph-context.ts';
import { GraphRunner } from './graph-runner.ts';
import { DEFAULT_GRAPH_LIMITS } from './limits.ts';
import { variableProblems } from './safe-messages.ts';
import { VariableCheck } from './variable-check.ts';

const SDL = `
  scalar Counted
  input Choice @oneOf { one: Counted many: [Counted!] nested: [[Counted!]!] }
  type Query { count(items: [Counted!], choice: Choice, choices: [Choice!]): Int }
`;
let coerced = 0;
const schema = buildSchema(SDL);
(schema.getType('Counted') as GraphQLScalarType).parseValue = (value) => {
  coerced++;
  if (typeof value !== 'number') throw new GraphQLError('not a number');
  return value;
};

function anOperation(text: string): OperationDefinitionNode {
  return parse(text).definitions[0] as OperationDefinitionNode;
}
const BY_ITEMS =
  'query ($items: [Counted!], $choice: Choice, $choices: [Choice!]) { count(items: $items, choice: $choice, choices: $choices) }';
const operation = anOperation(BY_ITEMS);
const check = new VariableCheck(schema, operation);
const many = (value: unknown, count = 50_000): unknown[] => Array.from({ length: count }, () => value);

beforeEach(() => {
  coerced = 0;
});

describe('the variables of an operation', () => {
  test('are coerced up to the first value that does not fit', () => {
    expect(check.fits({ items: many('wrong') }, 100_000)).toBe(false);
    expect(coerced).toBe(1);
    expect(check.fits({ choice: { many: [1, 2, 'wrong', 4] } }, 100_000)).toBe(false);
    expect(coerced).toBe(4);
  });

  test('are refused by their name, before any is coerced, where their lists hold more items than allowed', () => {
    for (const [name, value] of [
      ['items', many(1, 101)],
      ['choice', { nested: many([1, 2], 40) }],
      ['choices', many({ many: [1, 2, 3] }, 30)],
    ] as const) {
      expect(() => check.fits({ [name]: value }, 100)).toThrow(expect.objectContaining({ code: 'request.too_large', field: name }));
    }
    expect(coerced).toBe(0);
  });

  test('fit when they are within the bound, absent or null', () => {
    for (const values of [{}, { items: null }, { items: many(1, 100) }, { choice: { one: 1 } }, { choices: [{ many: [] }] }])
      expect(check.fits(values, 100)).toBe(true);
  });

  test.each([[{ one: 1, many: [1] }], [{}], [{ one: null }], [{ other: 1 }]])('do not fit a oneOf input with %j', (choice) => {
    expect(check.fits({ choice }, 100)).toBe(false);
  });

  test('are described by at most five problems, without looking further', () => {
    expect(variableProblems(schema, operation, { items: many('wrong') })).toHaveLength(5);
    expect(coerced).toBe(5);
  });

  test('cost no more where the operation is compiled: an operation with values that do not fit does not run', async () => {
    const runner = new GraphRunner(schema, DEFAULT_GRAPH_LIMITS, createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }));
    const context = new GraphContext({ requestId: 'request-1', principal: undefined }, {} as never);
    for (let use = 0; use < 4; use++) {
      const ready = runner.prepare({ query: BY_ITEMS, variables: { items: many('wrong') } }, context);
      if (!('operation' in ready)) throw new Error('the document is valid');
      coerced = 0;
      const { errors } = await runner.execute(ready);
      expect(errors).toHaveLength(5);
      expect(coerced).toBe(6);
    }
  });
});

import { readFileSync } from 'node:fs';
import type { Executor } from '@graphql-tools/utils';
import { subgraphFile } from '@weir/platform/graphql';
import {
  buildSchema,
  execute,
  getNamedType,
  getNullableType,
  graphql,
  isEnumType,
  isInputObjectType,
  isListType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isScalarType,
  parse,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { composeGraph } from './composition.ts';
import { SUBGRAPH_SERVICES } from './subgraphs.ts';

const LOCAL = buildSchema('type Query { local: String }');
/** Deeper objects are asked for their name alone. */
const MAX_DEPTH = 5;

const schemas = SUBGRAPH_SERVICES.map((service) => ({ service, sdl: readFileSync(subgraphFile(service), 'utf8') })).map((part) => ({
  ...part,
  schema: withAnswers(buildSchema(part.sdl)),
}));

const graph = composeGraph(
  schemas.map(({ service, sdl, schema }) => ({
    service,
    sdl,
    executor: (({ document, variables }) => execute({ schema, document, variableValues: variables })) as Executor,
  })),
  LOCAL,
);

/** Every field of every object type answers something that tells which field it is; lists have two items. */
function withAnswers(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) field.resolve = () => anAnswer(field.type, `${type.name}.${field.name}`);
  }
  return schema;
}

function anAnswer(type: GraphQLOutputType, name: string): unknown {
  const nullable = getNullableType(type);
  if (isListType(nullable))
    return [anAnswer(nullable.ofType as GraphQLOutputType, name), anAnswer(nullable.ofType as GraphQLOutputType, name)];
  if (isObjectType(nullable)) return {};
  if (isEnumType(nullable)) return nullable.getValues()[0]?.value;
  if (!isScalarType(nullable)) throw new Error(`${name} is of a kind that no subgraph had so far`);
  switch (nullable.name) {
    case 'Int':
    case 'Float':
      return name.length;
    case 'Boolean':
      return true;
    case 'DateTime':
      return '2026-03-01T00:00:00.000Z';
    default:
      return name;
  }
}

/** A literal that the type takes: required parts alone. */
function aLiteral(type: GraphQLInputType): string {
  const nullable = getNullableType(type);
  if (isListType(nullable)) return `[${aLiteral(nullable.ofType as GraphQLInputType)}]`;
  if (isEnumType(nullable)) return nullable.getValues()[0]?.name ?? '';
  if (isInputObjectType(nullable)) {
    const fields = Object.values(nullable.getFields());
    const given = nullable.isOneOf ? fields.slice(0, 1) : fields.filter(isRequiredInputField);
    return `{ ${given.map((field) => `${field.name}: ${aLiteral(field.type)}`).join(', ')} }`;
  }
  switch (getNamedType(nullable).name) {
    case 'Int':
    case 'Float':
      return '1';
    case 'Boolean':
      return 'true';
    case 'DateTime':
      return '"2026-03-01T00:00:00.000Z"';
    default:
      return '"x"';
  }
}

/** Asks a field under an alias; every other field of an object in a fragment. */
function aliased(field: GraphQLField<unknown, unknown>, depth: number, seen: Set<string>): string {
  const given = field.args.filter(isRequiredArgument).map((argument) => `${argument.name}: ${aLiteral(argument.type)}`);
  const type = getNamedType(field.type);
  const selection = isObjectType(type) ? ` ${selectionOf(type, depth, seen)}` : '';
  return `other_${field.name}: ${field.name}${given.length === 0 ? '' : `(${given.join(', ')})`}${selection}`;
}

function selectionOf(type: GraphQLObjectType, depth: number, seen: Set<string>): string {
  seen.add(type.name);
  const fields = Object.values(type.getFields()).filter((field) => depth < MAX_DEPTH || !isObjectType(getNamedType(field.type)));
  const asked = fields.map((field, index) => {
    const text = aliased(field, depth + 1, seen);
    return index % 2 === 0 ? text : `... on ${type.name} { ${text} }`;
  });
  return `{ typeName: __typename ${asked.join(' ')} }`;
}

describe.each(schemas)('fields of $service', ({ service, schema }) => {
  const internal = service === 'auth' ? ['bootstrapOperator'] : [];
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
  ] as const;
  const seen = new Set<string>();
  const operations = roots.flatMap(([operation, root]) =>
    Object.values(root?.getFields() ?? {})
      .filter(({ name }) => !internal.includes(name))
      .map((field) => [`${operation} ${field.name}`, `${operation} { ${aliased(field, 0, seen)} }`] as const),
  );

  test.each(operations)('answer under aliases, in fragments and in lists as the service does: %s', async (_name, source) => {
    const expected = await execute({ schema, document: parse(source) });
    expect(expected.errors).toBeUndefined();
    expect(await graphql({ schema: graph, source })).toEqual(expected);
  });

  test('are asked of every object type', () => {
    const names = Object.values(schema.getTypeMap())
      .filter((type) => isObjectType(type) && !type.name.startsWith('__') && !roots.some(([, root]) => root === type))
      .map(({ name }) => name)
      .filter((name) => !internal.some((field) => getNamedType(schema.getMutationType()?.getFields()[field]?.type)?.name === name));
    expect(names.filter((name) => !seen.has(name))).toEqual([]);
  });
});

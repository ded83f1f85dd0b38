import {
  getNamedType,
  getNullableType,
  isInputObjectType,
  isInputType,
  isListType,
  typeFromAST,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';

/**
 * graphql-jit does not know `@oneOf`, so variables of such types are checked here. Says which variables of an
 * operation hold one somewhere, and whether their values keep the rule.
 */
export class OneOfCheck {
  readonly #variables: readonly (readonly [string, GraphQLInputType])[];
  /** Fields of an input type below which a oneOf type can stand. */
  readonly #paths = new Map<GraphQLInputObjectType, readonly (readonly [string, GraphQLInputType])[]>();

  constructor(schema: GraphQLSchema, operation: OperationDefinitionNode) {
    const variables: (readonly [string, GraphQLInputType])[] = [];
    for (const definition of operation.variableDefinitions ?? []) {
      const type = typeFromAST(schema, definition.type);
      if (isInputType(type) && holdsOneOf(type, new Set())) variables.push([definition.variable.name.value, type]);
    }
    this.#variables = variables;
  }

  /** Do the values have exactly one non-null field wherever the type asks for one? */
  holds(values: Readonly<Record<string, unknown>>): boolean {
    for (const [name, type] of this.#variables) if (!this.#fits(values[name], type)) return false;
    return true;
  }

  #fits(value: unknown, declared: GraphQLInputType): boolean {
    if (value === null || value === undefined) return true;
    const type = getNullableType(declared);
    if (isListType(type))
      return Array.isArray(value) ? value.every((item) => this.#fits(item, type.ofType)) : this.#fits(value, type.ofType);
    if (!isInputObjectType(type) || typeof value !== 'object' || Array.isArray(value)) return true;
    const fields = value as Record<string, unknown>;
    if (type.isOneOf) {
      const keys = Object.keys(fields);
      if (keys.length !== 1 || fields[keys[0] ?? ''] === null) return false;
    }
    for (const [name, inner] of this.#pathsOf(type)) if (!this.#fits(fields[name], inner)) return false;
    return true;
  }

  #pathsOf(type: GraphQLInputObjectType): readonly (readonly [string, GraphQLInputType])[] {
    let paths = this.#paths.get(type);
    if (paths === undefined) {
      paths = Object.values(type.getFields())
        .filter((field) => holdsOneOf(field.type, new Set()))
        .map((field) => [field.name, field.type] as const);
      this.#paths.set(type, paths);
    }
    return paths;
  }
}

function holdsOneOf(declared: GraphQLInputType, seen: Set<GraphQLInputObjectType>): boolean {
  const type = getNamedType(declared);
  if (!isInputObjectType(type) || seen.has(type)) return false;
  if (type.isOneOf) return true;
  seen.add(type);
  return Object.values(type.getFields()).some((field) => holdsOneOf(field.type, seen));
}

import {
  getNamedType,
  isInputObjectType,
  isInputType,
  isNonNullType,
  isRequiredInputField,
  typeFromAST,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';

/**
 * Does graphql-jit read the variables of the operation as the specification says? It refuses values that leave out a field
 * which is not nullable but has a default, and fills the memory with code for an input type that holds itself.
 * Operations with such variables are interpreted.
 */
export function isCompilable(schema: GraphQLSchema, operation: OperationDefinitionNode): boolean {
  return (operation.variableDefinitions ?? []).every((definition) => {
    const type = typeFromAST(schema, definition.type);
    return !isInputType(type) || isReadable(type, []);
  });
}

/** @param above the types that this one stands in */
function isReadable(declared: GraphQLInputType, above: readonly GraphQLInputObjectType[]): boolean {
  const type = getNamedType(declared);
  if (!isInputObjectType(type)) return true;
  if (above.includes(type)) return false;
  return Object.values(type.getFields()).every(
    (field) => (!isNonNullType(field.type) || isRequiredInputField(field)) && isReadable(field.type, [...above, type]),
  );
}

import {
  getNamedType,
  isInputObjectType,
  isInputType,
  isRequiredInputField,
  isNonNullType,
  typeFromAST,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';

/**
 * Can the variables of the operation leave out a field that is not nullable because it has a default? graphql-jit refuses
 * such values, so an operation of this kind is not compiled: it would be refused from the use on at which it is.
 */
export function mayLeaveOutDefaults(schema: GraphQLSchema, operation: OperationDefinitionNode): boolean {
  const seen = new Set<GraphQLInputType>();
  return (operation.variableDefinitions ?? []).some((definition) => {
    const type = typeFromAST(schema, definition.type);
    return isInputType(type) && holdsDefault(type, seen);
  });
}

function holdsDefault(declared: GraphQLInputType, seen: Set<GraphQLInputType>): boolean {
  const type = getNamedType(declared);
  if (!isInputObjectType(type) || seen.has(type)) return false;
  seen.add(type);
  return Object.values(type.getFields()).some(
    (field) => (isNonNullType(field.type) && !isRequiredInputField(field)) || holdsDefault(field.type, seen),
  );
}

import { Kind, type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';

/** Names of the fields that a validated operation selects of its root type, fragments resolved. */
export function rootFieldsOf(document: DocumentNode, operation: OperationDefinitionNode): ReadonlySet<string> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const fields = new Set<string>();
  const walk = (set: SelectionSetNode): void => {
    for (const selection of set.selections) {
      switch (selection.kind) {
        case Kind.FIELD:
          fields.add(selection.name.value);
          break;
        case Kind.INLINE_FRAGMENT:
          walk(selection.selectionSet);
          break;
        case Kind.FRAGMENT_SPREAD: {
          const fragment = fragments.get(selection.name.value);
          // Each fragment once: many spreads of it add nothing.
          fragments.delete(selection.name.value);
          if (fragment !== undefined) walk(fragment.selectionSet);
          break;
        }
      }
    }
  };
  walk(operation.selectionSet);
  return fields;
}

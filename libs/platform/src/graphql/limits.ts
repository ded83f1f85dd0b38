import {
  GraphQLError,
  Kind,
  type DocumentNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** How much one GraphQL document may ask for. The same on HTTP and on sockets. */
export interface GraphLimits {
  /** Largest body of a request, and largest message on a socket, in bytes. */
  readonly maxBodyBytes: number;
  /** Characters of a document; a longer one is refused before it is lexed: a string literal of 5 MB is one token and 160 ms. */
  readonly maxDocumentCharacters: number;
  /** Lexical tokens of a document. */
  readonly maxTokens: number;
  /** Fields below one another, fragments resolved. Introspection has a bound of its own (graphql's `MaxIntrospectionDepthRule`). */
  readonly maxDepth: number;
  /** Aliased fields, counted each time that their fragment is spread. */
  readonly maxAliases: number;
  /** Directives, counted each time that their fragment is spread. */
  readonly maxDirectives: number;
  /** Fields after all fragments are spread: fragments that spread fragments cannot grow a small document into a huge query. */
  readonly maxFields: number;
  /** Root fields of one operation: bounds what a single mutation document can set off. */
  readonly maxRootFields: number;
  /** `__schema` and `__type` in one document, however often it spreads or aliases them: each may answer with the whole schema. */
  readonly maxIntrospections: number;
  /** Items of all lists in the variables together, those inside JSON scalars excepted: each is coerced on the thread that serves everybody. */
  readonly maxListItems: number;
}

export const DEFAULT_GRAPH_LIMITS: GraphLimits = {
  maxBodyBytes: 1_048_576,
  maxDocumentCharacters: 100_000,
  maxTokens: 4_000,
  maxDepth: 12,
  maxAliases: 50,
  maxDirectives: 50,
  maxFields: 2_000,
  maxRootFields: 30,
  maxIntrospections: 1,
  maxListItems: 100_000,
};

interface Size {
  depth: number;
  aliases: number;
  directives: number;
  fields: number;
  introspections: number;
}

const NOTHING: Readonly<Size> = { depth: 0, aliases: 0, directives: 0, fields: 0, introspections: 0 };
/** Sums stop growing here: doubling fragments would overflow otherwise. */
const CEILING = 1_000_000;

/**
 * What a document exceeds, or an empty list. Runs before validation, in time proportional to the document:
 * each fragment is measured once, however often it is spread.
 */
export function exceededLimits(document: DocumentNode, limits: GraphLimits): readonly GraphQLError[] {
  const fragments = new Map<string, FragmentDefinitionNode>();
  const operations: OperationDefinitionNode[] = [];
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
    else if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(definition);
  }
  const measure = measurer(fragments);
  const errors: GraphQLError[] = [];
  const check = (what: string, found: number, limit: number): void => {
    if (found > limit) errors.push(tooComplex(limit, what));
  };
  let introspections = 0;
  for (const operation of operations) {
    const size = measure.selections(operation.selectionSet);
    const ownDirectives =
      (operation.directives?.length ?? 0) +
      (operation.variableDefinitions ?? []).reduce((sum, variable) => sum + (variable.directives?.length ?? 0), 0);
    check('levels of depth', size.depth, limits.maxDepth);
    check('aliases', size.aliases, limits.maxAliases);
    check('directives', size.directives + ownDirectives, limits.maxDirectives);
    check('fields', size.fields, limits.maxFields);
    check('root fields', measure.width(operation.selectionSet), limits.maxRootFields);
    introspections += size.introspections;
  }
  check('__schema or __type', introspections, limits.maxIntrospections);
  return errors;
}

/** @param what the thing of which the document has more than `limit`, in the plural */
export function tooComplex(limit: number, what: string): GraphQLError {
  return new GraphQLError(`The document exceeds the limit of ${limit} ${what}.`, { extensions: { code: 'graphql.too_complex' } });
}

/** Is this a root field that answers with the schema? */
export function isIntrospection(field: string): boolean {
  return field === '__schema' || field === '__type';
}

function measurer(fragments: ReadonlyMap<string, FragmentDefinitionNode>) {
  const sizes = new Map<string, Size>();
  const widths = new Map<string, number>();

  function fragment(name: string): Readonly<Size> {
    const known = sizes.get(name);
    if (known !== undefined) return known;
    // A cycle ends here; validation refuses it afterwards.
    sizes.set(name, NOTHING);
    const definition = fragments.get(name);
    const inner = definition === undefined ? NOTHING : selections(definition.selectionSet);
    const size = { ...inner, directives: inner.directives + (definition?.directives?.length ?? 0) };
    sizes.set(name, size);
    return size;
  }

  function selections(set: SelectionSetNode): Size {
    const total = { ...NOTHING };
    const add = (size: Readonly<Size>, depth: number): void => {
      total.depth = Math.max(total.depth, depth);
      total.aliases = Math.min(CEILING, total.aliases + size.aliases);
      total.directives = Math.min(CEILING, total.directives + size.directives);
      total.fields = Math.min(CEILING, total.fields + size.fields);
      total.introspections = Math.min(CEILING, total.introspections + size.introspections);
    };
    for (const selection of set.selections) {
      total.directives += selection.directives?.length ?? 0;
      switch (selection.kind) {
        case Kind.FIELD: {
          const inner = selection.selectionSet === undefined ? NOTHING : selections(selection.selectionSet);
          const introspects = isIntrospection(selection.name.value);
          add(
            {
              ...inner,
              aliases: inner.aliases + (selection.alias === undefined ? 0 : 1),
              fields: inner.fields + 1,
              introspections: inner.introspections + (introspects ? 1 : 0),
            },
            introspects ? 1 : inner.depth + 1,
          );
          break;
        }
        case Kind.INLINE_FRAGMENT: {
          const inner = selections(selection.selectionSet);
          add(inner, inner.depth);
          break;
        }
        case Kind.FRAGMENT_SPREAD: {
          const inner = fragment(selection.name.value);
          add(inner, inner.depth);
          break;
        }
      }
    }
    return total;
  }

  function width(set: SelectionSetNode): number {
    let total = 0;
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) total += 1;
      else if (selection.kind === Kind.INLINE_FRAGMENT) total += width(selection.selectionSet);
      else total += fragmentWidth(selection.name.value);
    }
    return Math.min(CEILING, total);
  }

  function fragmentWidth(name: string): number {
    const known = widths.get(name);
    if (known !== undefined) return known;
    widths.set(name, 0);
    const definition = fragments.get(name);
    const total = definition === undefined ? 0 : width(definition.selectionSet);
    widths.set(name, total);
    return total;
  }

  return { selections, width };
}

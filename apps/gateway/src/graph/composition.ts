import { mergeSchemas } from '@graphql-tools/schema';
import { stitchSchemas } from '@graphql-tools/stitch';
import { filterSchema, getResolversFromSchema, pruneSchema, type Executor } from '@graphql-tools/utils';
import {
  buildSchema,
  isIntrospectionType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  parse,
  print,
  printType,
  visit,
  type GraphQLNamedType,
  type GraphQLSchema,
} from 'graphql';

/** One service's part of the graph: its committed SDL, and how it is asked. */
export interface Subgraph {
  readonly service: string;
  readonly sdl: string;
  readonly executor: Executor;
  /** Root fields that are for other processes alone: they, and the types that only they use, are not part of the graph. */
  readonly internalFields?: readonly string[];
}

/**
 * One schema of the services' subgraphs and the gateway's own. Fields of the gateway keep their own resolvers, so they
 * cost what they cost alone; fields of a service are asked of it. No service needs to run for this.
 *
 * @throws Error two parts define the same root field, or the same type differently
 */
export function composeGraph(subgraphs: readonly Subgraph[], local: GraphQLSchema): GraphQLSchema {
  const parts = subgraphs.map(({ service, sdl, executor, internalFields = [] }) => ({
    service,
    schema: withoutFields(buildSchema(sdl), internalFields),
    executor,
  }));
  const conflicts = conflictsOf([...parts, { service: 'gateway', schema: local }]);
  if (conflicts.length > 0) throw new Error(`the subgraphs do not fit together:\n${conflicts.join('\n')}`);
  const remote = stitchSchemas({ subschemas: parts.map(({ schema, executor }) => ({ schema, executor })) });
  // Stitched objects hold their fields by response key. Without the resolvers that know this, which mergeSchemas leaves out because
  // they are the default ones of stitching, a field under an alias would be looked for by its name.
  return mergeSchemas({ schemas: [remote, local], resolvers: getResolversFromSchema(remote, true) });
}

function withoutFields(schema: GraphQLSchema, names: readonly string[]): GraphQLSchema {
  return names.length === 0 ? schema : pruneSchema(filterSchema({ schema, rootFieldFilter: (_operation, name) => !names.includes(name) }));
}

interface Part {
  readonly service: string;
  readonly schema: GraphQLSchema;
}

/** What keeps parts from becoming one graph, in sentences; empty when nothing does. */
export function conflictsOf(parts: readonly Part[]): readonly string[] {
  const owners = new Map<string, { service: string; printed: string }>();
  const conflicts: string[] = [];
  for (const { service, schema } of parts) {
    // Services are asked over HTTP alone. An ordinary type of this name is taken for the root, and its fields then fail.
    if (schema.getSubscriptionType()) conflicts.push(`${service} has a type called Subscription, which is the name of a root type`);
    const roots = new Set([schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]);
    for (const type of Object.values(schema.getTypeMap())) {
      if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue;
      if (isObjectType(type) && roots.has(type)) {
        for (const field of Object.keys(type.getFields())) claim(`${type.name}.${field}`, service, null);
      } else claim(type.name, service, isObjectType(type) || isScalarType(type) ? wordingOf(type) : null);
    }
  }
  return conflicts;

  /** @param printed how it reads when others may define the same; null when nobody else may define it */
  function claim(name: string, service: string, printed: string | null): void {
    const owner = owners.get(name);
    if (owner === undefined) owners.set(name, { service, printed: printed ?? '' });
    else if (printed === null || owner.printed !== printed)
      conflicts.push(`${name} is defined by ${owner.service} and by ${service}${printed === null ? '' : ', not with the same fields'}`);
  }
}

/** A type's definition without its descriptions. */
function wordingOf(type: GraphQLNamedType): string {
  return print(
    visit(parse(printType(type)), { enter: (node) => ('description' in node ? { ...node, description: undefined } : undefined) }),
  );
}

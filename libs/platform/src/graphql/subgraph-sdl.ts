import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NestFactory } from '@nestjs/core';
import { GraphQLSchemaBuilderModule, GraphQLSchemaFactory, type BuildSchemaOptions } from '@nestjs/graphql';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { readEnvironment } from '../config/index.ts';
import { DateTime } from './scalars.ts';

/** The same for every schema that is made from classes. */
export const SCHEMA_OPTIONS: BuildSchemaOptions = { scalarsMap: [{ type: Date, scalar: DateTime }], numberScalarMode: 'integer' };

type ResolverClass = Parameters<GraphQLSchemaFactory['create']>[0][number];
type OrphanedTypes = NonNullable<BuildSchemaOptions['orphanedTypes']>;

/** The schema of some resolver classes as SDL, sorted, so that it changes only when the schema does. */
export async function printSubgraph(resolvers: readonly ResolverClass[], orphanedTypes: OrphanedTypes = []): Promise<string> {
  const app = await NestFactory.createApplicationContext(GraphQLSchemaBuilderModule, { logger: ['error'] });
  try {
    const schema = await app.get(GraphQLSchemaFactory).create([...resolvers], { ...SCHEMA_OPTIONS, orphanedTypes });
    return `${printSchema(lexicographicSortSchema(schema))}\n`;
  } finally {
    await app.close();
  }
}

/** Where the SDL of a service's subgraph is committed. */
export function subgraphFile(service: string): string {
  return fileURLToPath(new URL(`../../../contracts/subgraphs/${service}.graphql`, import.meta.url));
}

/**
 * For a service's spec: fails unless the committed SDL is that of the resolvers. With WEIR_UPDATE_SDL=1 it writes the file.
 */
export async function expectSubgraphIsCurrent(
  service: string,
  resolvers: readonly ResolverClass[],
  orphanedTypes: OrphanedTypes = [],
): Promise<void> {
  const printed = await printSubgraph(resolvers, orphanedTypes);
  const file = subgraphFile(service);
  if (readEnvironment().WEIR_UPDATE_SDL === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, printed);
    return;
  }
  if (!existsSync(file))
    throw new Error(`libs/contracts/subgraphs/${service}.graphql is missing: run the spec with WEIR_UPDATE_SDL=1 and commit it`);
  if (readFileSync(file, 'utf8') !== printed)
    throw new Error(
      `libs/contracts/subgraphs/${service}.graphql is not what the resolvers say: run the spec with WEIR_UPDATE_SDL=1 and commit the change`,
    );
}

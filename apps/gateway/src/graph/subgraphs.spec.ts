import { readFileSync } from 'node:fs';
import { printSubgraph, subgraphFile } from '@weir/platform/graphql';
import { buildSchema, isEnumType, isInputObjectType, isObjectType, type GraphQLSchema } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { InferResolver } from '../inference/infer.resolver.ts';
import { conflictsOf } from './composition.ts';
import { PlatformResolver } from './platform.resolver.ts';
import { SUBGRAPH_SERVICES } from './subgraphs.ts';

let parts: { service: string; schema: GraphQLSchema }[];

beforeAll(async () => {
  const services = SUBGRAPH_SERVICES.map((service) => ({ service, schema: buildSchema(readFileSync(subgraphFile(service), 'utf8')) }));
  parts = [...services, { service: 'gateway', schema: buildSchema(await printSubgraph([InferResolver, PlatformResolver])) }];
});

test('what the services committed and what the gateway adds become one graph', () => {
  expect(conflictsOf(parts)).toEqual([]);
});

test('everything in the graph is described', () => {
  const bare: string[] = [];
  for (const { service, schema } of parts) {
    for (const type of Object.values(schema.getTypeMap())) {
      const isRoot = type === schema.getQueryType() || type === schema.getMutationType();
      if (type.name.startsWith('__') || (!isObjectType(type) && !isInputObjectType(type) && !isEnumType(type))) continue;
      if (!isRoot && !type.description) bare.push(`${service}: ${type.name}`);
      if (isEnumType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        if (!field.description) bare.push(`${service}: ${type.name}.${field.name}`);
        if ('args' in field)
          for (const argument of field.args)
            if (!argument.description) bare.push(`${service}: ${type.name}.${field.name}(${argument.name})`);
      }
    }
  }
  expect(bare).toEqual([]);
});

test('nobody names a tenant but the operator', () => {
  const naming: string[] = [];
  for (const { schema } of parts) {
    for (const root of [schema.getQueryType(), schema.getMutationType()]) {
      for (const field of Object.values(root?.getFields() ?? {}))
        if (field.args.some((argument) => argument.name === 'tenantId') && !/operator/i.test(field.description ?? ''))
          naming.push(field.name);
    }
  }
  expect(naming).toEqual([]);
});

test('a service whose type would be taken for the root of subscriptions is refused', () => {
  const schema = buildSchema('type Query { subscription: Subscription } type Subscription { id: ID! }');
  expect(conflictsOf([{ service: 'billing', schema }])).toEqual([expect.stringContaining('billing has a type called Subscription')]);
});

import { GraphQLScalarType } from 'graphql';
import { GraphQLDateTimeISO, GraphQLJSON } from 'graphql-scalars';

/** A moment in UTC, ISO 8601 with milliseconds. Resolvers give a `Date`; inputs arrive as a `Date`. */
export const DateTime = new GraphQLScalarType({
  ...GraphQLDateTimeISO.toConfig(),
  name: 'DateTime',
  description: 'A moment in UTC: ISO 8601, such as 2026-03-01T12:00:00.000Z.',
  specifiedByURL: undefined,
  extensions: {},
});

/** Any JSON value. */
export const JsonScalar = new GraphQLScalarType({
  ...GraphQLJSON.toConfig(),
  name: 'JSON',
  description: 'Any JSON value.',
  specifiedByURL: undefined,
  extensions: {},
});

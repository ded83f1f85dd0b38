import { GraphQLError, type ExecutionResult, type GraphQLFormattedError, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { AppError, ERRORS, isErrorCode, type ErrorCode } from '@weir/kernel';
import { reportError } from '../http/index.ts';
import { countError, type Logger } from '../telemetry/index.ts';
import { variableProblems, withoutSuggestion } from './safe-messages.ts';

/** `extensions` of every error that this platform's graph answers. */
export interface GraphErrorExtensions {
  readonly code: ErrorCode;
  readonly kind: string;
  readonly requestId: string;
  readonly field?: string;
  readonly retryAfterMs?: number;
}

/** The error as the caller sees it: a code of the table, a message, no stack. */
export function describeError(error: AppError, requestId: string): { message: string; extensions: GraphErrorExtensions } {
  return {
    message: error.message,
    extensions: {
      code: error.code,
      kind: error.kind,
      requestId,
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    },
  };
}

/** A GraphQL error of its own for an `AppError`, without a place in a document. */
export function graphErrorOf(error: AppError, requestId: string): GraphQLError {
  const { message, extensions } = describeError(error, requestId);
  return new GraphQLError(message, { extensions: { ...extensions } });
}

/** Errors of documents, before anything ran: `graphql.invalid` or `graphql.too_complex`. */
export function documentErrors(errors: readonly GraphQLError[], requestId: string): readonly GraphQLError[] {
  return errors.map((error) => {
    const code: ErrorCode = error.extensions.code === 'graphql.too_complex' ? 'graphql.too_complex' : 'graphql.invalid';
    countError(code);
    return new GraphQLError(withoutSuggestion(error.message), {
      source: error.source,
      positions: error.positions,
      nodes: error.nodes,
      extensions: { code, kind: ERRORS[code].kind, requestId },
    });
  });
}

export interface RanOperation {
  readonly schema: GraphQLSchema;
  readonly node: OperationDefinitionNode;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly requestId: string;
}

/** The result as the caller may see it. What nobody foresaw is logged here, once, and told only by its request id. */
export function safeResult(result: ExecutionResult, ran: RanOperation, logger: Logger): ExecutionResult {
  if (result.errors === undefined) return result;
  // Without data nothing ran: the variables did not fit.
  if (result.data === undefined) return { errors: requestErrors(result.errors, ran) };
  return { ...result, errors: result.errors.map((error) => fieldError(error, ran.requestId, logger)) };
}

function requestErrors(errors: readonly GraphQLError[], ran: RanOperation): readonly GraphQLError[] {
  const problems = variableProblems(ran.schema, ran.node, ran.variables);
  if (problems.length === 0)
    return documentErrors(
      errors.map(() => new GraphQLError('The variables do not fit the document.')),
      ran.requestId,
    );
  return problems.map(
    ({ field, message }) =>
      new GraphQLError(message, {
        nodes: ran.node.variableDefinitions,
        extensions: { code: 'graphql.invalid', kind: ERRORS['graphql.invalid'].kind, requestId: ran.requestId, field },
      }),
  );
}

/** Errors that graphql itself makes of arguments; their messages repeat the value. */
const ARGUMENT = /^Argument "(\w{1,64})" /;

function fieldError(error: GraphQLError, requestId: string, logger: Logger): GraphQLError {
  const app = appErrorOf(error);
  reportError(app, requestId, logger);
  const { message, extensions } = describeError(app, requestId);
  return new GraphQLError(message, {
    nodes: error.nodes,
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions: { ...extensions },
  });
}

/** What a field threw, in the table's terms: ours, one that another service of the platform answered, or unknown. */
function appErrorOf(error: GraphQLError): AppError {
  let origin: unknown = error;
  for (
    let depth = 0;
    depth < 5 && origin instanceof GraphQLError && origin.originalError !== undefined && origin.originalError !== null;
    depth++
  )
    origin = origin.originalError;
  if (origin instanceof AppError) return origin;
  // Another service's answer without a path, of several errors: the first speaks for all.
  if (origin instanceof AggregateError && origin.errors[0] instanceof GraphQLError) return appErrorOf(origin.errors[0]);
  const { code, field, retryAfterMs } = error.extensions ?? {};
  if (isErrorCode(code)) {
    return new AppError(code, {
      message: error.message,
      field: typeof field === 'string' ? field : undefined,
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
    });
  }
  const argument = origin === error ? ARGUMENT.exec(error.message)?.[1] : undefined;
  if (argument !== undefined)
    return new AppError('graphql.invalid', { message: `Argument "${argument}" does not have the type that it needs.`, field: argument });
  return new AppError('internal.error', { cause: origin });
}

/** For what is sent over a socket. */
export function formatted(errors: readonly GraphQLError[]): readonly GraphQLFormattedError[] {
  return errors.map((error) => error.toJSON());
}

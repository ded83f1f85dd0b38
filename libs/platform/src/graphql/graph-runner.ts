import { AppError, toAppError } from '@weir/kernel';
import { GraphQLError, type ExecutionArgs, type ExecutionResult, type GraphQLSchema } from 'graphql';
import { reportError } from '../http/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { Documents, type PreparedOperation } from './documents.ts';
import type { GraphCaller, GraphContext } from './graph-context.ts';
import { documentErrors, graphErrorOf, safeResult } from './graph-errors.ts';
import { isIntrospection, type GraphLimits } from './limits.ts';

/** What a client asks on either transport. */
export interface GraphRequest {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
}

/** A request that may run: graphql's arguments, with the operation that was prepared for them. */
export interface ReadyOperation extends ExecutionArgs {
  readonly contextValue: GraphContext;
  readonly operation: PreparedOperation;
}

/**
 * Bounds the operations in progress. Subscriptions are not asked for: they are bounded on each socket.
 *
 * @returns undefined when the operation runs without a permit; else, once there is one, what releases it
 * @throws AppError by the promise, when it is refused; nothing of the operation has run then
 */
export type OperationAdmission<C extends GraphCaller = GraphCaller> = (
  rootFields: ReadonlySet<string>,
  context: GraphContext<C>,
) => Promise<() => void> | undefined;

/** Runs operations of one schema, the same for both transports: limits, caches, compiled queries, safe errors. */
export class GraphRunner {
  readonly schema: GraphQLSchema;
  readonly #documents: Documents;
  readonly #maxListItems: number;
  readonly #logger: Logger;
  readonly #admit: OperationAdmission | undefined;

  constructor(schema: GraphQLSchema, limits: GraphLimits, logger: Logger, admit?: OperationAdmission) {
    this.schema = schema;
    this.#admit = admit;
    this.#documents = new Documents(schema, limits);
    this.#maxListItems = limits.maxListItems;
    this.#logger = logger;
  }

  /** Checks the document; errors have their code and the request's id. */
  prepare(request: GraphRequest, context: GraphContext): ReadyOperation | readonly GraphQLError[] {
    const operation = this.#documents.prepare(request.query, request.operationName);
    if (!('node' in operation)) return documentErrors(operation, context.requestId);
    return {
      schema: this.schema,
      document: operation.document,
      operationName: operation.node.name?.value,
      variableValues: request.variables ?? {},
      contextValue: context,
      operation,
    };
  }

  /** Runs a query or mutation. A result without `data` means that nothing ran. */
  execute(ready: ReadyOperation): ExecutionResult | Promise<ExecutionResult> {
    const { operation, contextValue } = ready;
    if (contextValue.principal === undefined && [...operation.rootFields].some(isIntrospection))
      return this.#refused(new AppError('auth.required', { message: INTROSPECTION_NEEDS_A_CALLER }), ready);
    const permit = this.#admit?.(operation.rootFields, contextValue);
    return permit === undefined ? this.#run(ready) : this.#runWith(permit, ready);
  }

  async #runWith(permit: Promise<() => void>, ready: ReadyOperation): Promise<ExecutionResult> {
    let release: () => void;
    try {
      release = await permit;
    } catch (error) {
      return this.#refused(toAppError(error), ready);
    }
    try {
      return await this.#run(ready);
    } finally {
      release();
    }
  }

  #run(ready: ReadyOperation): ExecutionResult | Promise<ExecutionResult> {
    const refused = this.#refusedVariables(ready);
    if (refused !== null) return refused;
    const result = this.#documents.execute(ready.operation, ready);
    return result instanceof Promise ? result.then((settled) => this.#safe(settled, ready)) : this.#safe(result, ready);
  }

  /** Starts a subscription; each event's result is made safe as it passes. */
  async subscribe(ready: ReadyOperation): Promise<AsyncGenerator<ExecutionResult> | ExecutionResult> {
    const refused = this.#refusedVariables(ready);
    if (refused !== null) return refused;
    const outcome = await this.#documents.subscribe(ready);
    if (!(Symbol.asyncIterator in outcome))
      return this.#safe(outcome.data === undefined ? { ...outcome, data: isVariableFailure(outcome) ? undefined : null } : outcome, ready);
    return this.#events(outcome, ready);
  }

  /** The result of an operation whose variables do not fit, or are too many; null when it may run. */
  #refusedVariables(ready: ReadyOperation): ExecutionResult | null {
    try {
      const isFit = ready.operation.variables.fits(ready.variableValues ?? {}, this.#maxListItems);
      return isFit ? null : this.#safe({ errors: [new GraphQLError('variables')] }, ready);
    } catch (error) {
      return this.#refused(toAppError(error), ready);
    }
  }

  #refused(error: AppError, { contextValue }: ReadyOperation): ExecutionResult {
    reportError(error, contextValue.requestId, this.#logger);
    return { errors: [graphErrorOf(error, contextValue.requestId)] };
  }

  async *#events(events: AsyncGenerator<ExecutionResult, void, void>, ready: ReadyOperation): AsyncGenerator<ExecutionResult> {
    for await (const result of events) yield this.#safe(result, ready);
  }

  #safe(result: ExecutionResult, { contextValue, operation, variableValues }: ReadyOperation): ExecutionResult {
    if (result.errors === undefined) return result;
    const requestId = contextValue.requestId;
    return safeResult(result, { schema: this.schema, node: operation.node, variables: variableValues ?? {}, requestId }, this.#logger);
  }
}

const INTROSPECTION_NEEDS_A_CALLER = 'Introspection needs a credential. The schema is served as a file at /schema.graphql.';

/** A subscription that could not start has no data either way: errors with a path come from its resolver. */
function isVariableFailure(outcome: ExecutionResult): boolean {
  return outcome.errors?.every((error) => error.path === undefined) ?? false;
}

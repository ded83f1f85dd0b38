import {
  execute,
  GraphQLError,
  parse,
  subscribe,
  validate,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { compileQuery, isCompiledQuery, type CompiledQuery } from 'graphql-jit';
import { LRUCache } from 'lru-cache';
import { isCompilable } from './compilable.ts';
import { exceededLimits, tooComplex, type GraphLimits } from './limits.ts';
import { rootFieldsOf } from './root-fields.ts';
import { operationOf, SAFE_RULES, safeSyntaxMessage } from './safe-messages.ts';
import { VariableCheck } from './variable-check.ts';

/** Documents that are kept parsed, validated and compiled. */
const MAX_DOCUMENTS = 1_000;
/** Their text together, in characters: one large document must not weigh as little as a small one. */
const MAX_TEXT = 4_000_000;
/** Compiling costs as much as some hundred executions: a document that is asked once is interpreted. */
const COMPILE_FROM_USE = 2;
/** Most validation errors that one answer lists. */
const MAX_ERRORS = 10;

/** One operation of a document, ready to run. */
export interface PreparedOperation {
  readonly document: DocumentNode;
  readonly node: OperationDefinitionNode;
  readonly variables: VariableCheck;
  /** Names of the fields that it selects of the root type, fragments resolved. */
  readonly rootFields: ReadonlySet<string>;
  uses: number;
  /** Null when graphql-jit declined it. */
  compiled: CompiledQuery | null | undefined;
}

interface PreparedDocument {
  readonly document: DocumentNode;
  /** Bound to the operation's name as well: one document may hold several. */
  readonly operations: Map<string, PreparedOperation>;
}

/** Parses, checks and compiles documents once, and keeps a bounded number of them. */
export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #limits: GraphLimits;
  readonly #known = new LRUCache<string, PreparedDocument>({
    max: MAX_DOCUMENTS,
    maxSize: MAX_TEXT,
    sizeCalculation: (_, text) => text.length + 1,
  });

  constructor(schema: GraphQLSchema, limits: GraphLimits) {
    this.#schema = schema;
    this.#limits = limits;
  }

  /** The operation that `operationName` picks in `text`, or what is wrong with the document. */
  prepare(text: string, operationName: string | null | undefined): PreparedOperation | readonly GraphQLError[] {
    // Before the cache, which would hash it.
    if (text.length > this.#limits.maxDocumentCharacters) return [tooComplex(this.#limits.maxDocumentCharacters, 'characters')];
    let known = this.#known.get(text);
    if (known === undefined) {
      const checked = this.#check(text);
      if (Array.isArray(checked)) return checked;
      known = { document: checked as DocumentNode, operations: new Map() };
      this.#known.set(text, known);
    }
    const prepared = known.operations.get(operationName ?? '');
    if (prepared !== undefined) return prepared;
    const node = operationOf(known.document, operationName);
    if (node === undefined)
      return [
        new GraphQLError('The document has no operation of that name, or has several and none was named.', {
          extensions: { code: 'graphql.invalid' },
        }),
      ];
    const made: PreparedOperation = {
      document: known.document,
      node,
      variables: new VariableCheck(this.#schema, node),
      rootFields: rootFieldsOf(known.document, node),
      uses: 0,
      compiled: undefined,
    };
    known.operations.set(operationName ?? '', made);
    return made;
  }

  /** Runs a query or mutation. */
  execute(operation: PreparedOperation, args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
    const compiled = this.#compiled(operation);
    if (compiled === null) return execute(args) as ExecutionResult | Promise<ExecutionResult>;
    return compiled.query(args.rootValue, args.contextValue, args.variableValues ?? {}) as ExecutionResult | Promise<ExecutionResult>;
  }

  /** Starts a subscription. Each runs long, so it is not compiled. */
  subscribe(args: ExecutionArgs): ReturnType<typeof subscribe> {
    return subscribe(args);
  }

  #compiled(operation: PreparedOperation): CompiledQuery | null {
    if (operation.compiled !== undefined) return operation.compiled;
    operation.uses += 1;
    if (operation.uses < COMPILE_FROM_USE) return null;
    if (!isCompilable(this.#schema, operation.node)) return (operation.compiled = null);
    const result = compileQuery(this.#schema, operation.document, operation.node.name?.value);
    operation.compiled = isCompiledQuery(result) ? result : null;
    return operation.compiled;
  }

  #check(text: string): DocumentNode | readonly GraphQLError[] {
    let document: DocumentNode;
    try {
      document = parse(text, { maxTokens: this.#limits.maxTokens });
    } catch (error) {
      return [syntaxError(error, this.#limits)];
    }
    const exceeded = exceededLimits(document, this.#limits);
    if (exceeded.length > 0) return exceeded;
    return emptyToNull(validate(this.#schema, document, SAFE_RULES, { maxErrors: MAX_ERRORS })) ?? document;
  }
}

function emptyToNull(errors: readonly GraphQLError[]): readonly GraphQLError[] | null {
  return errors.length === 0 ? null : errors;
}

function syntaxError(thrown: unknown, limits: GraphLimits): GraphQLError {
  if (!(thrown instanceof GraphQLError)) return new GraphQLError('Syntax Error.', { extensions: { code: 'graphql.invalid' } });
  if (/contains more tha[nt] \d+ tokens/.test(thrown.message)) return tooComplex(limits.maxTokens, 'tokens');
  return new GraphQLError(safeSyntaxMessage(thrown.message), {
    source: thrown.source,
    positions: thrown.positions,
    extensions: { code: 'graphql.invalid' },
  });
}

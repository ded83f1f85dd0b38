import {
  getNamedType,
  GraphQLError,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  specifiedRules,
  typeFromAST,
  ValidationContext,
  ValuesOfCorrectTypeRule,
  type ASTVisitor,
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type ValidationRule,
} from 'graphql';
import { coerceUntil } from './variable-check.ts';

/** A name that may be repeated to the caller: it cannot hold much of a secret. */
const NAME = /^[_A-Za-z][_0-9A-Za-z]{0,63}$/;
const SUGGESTION = / Did you mean [\s\S]*$/;
/** graphql's way of printing the token that it did not expect. */
const PRINTED_TOKEN = /(Name|Int|Float|String|BlockString|Comment) "[\s\S]*"/;
/** Messages about input objects that name types and fields only. */
const NAMES_ONLY =
  /^(Field "[\w.]{1,130}" (of required type "[\w[\]!]+" was not provided|is not defined by type "\w+"|must be non-null)|(Exactly one key must be specified for )?OneOf (type|Input Object) "\w+"( must specify exactly one key)?)\.?$/;

/** Takes field suggestions out of a message: they would tell the schema to someone who guesses. */
export function withoutSuggestion(message: string): string {
  return message.replace(SUGGESTION, '');
}

/** A syntax error as the caller may read it: what was wrong where, without the text that was sent. */
export function safeSyntaxMessage(message: string): string {
  return message.replace(PRINTED_TOKEN, '$1');
}

/** graphql's rules, with messages that suggest nothing and repeat no value. */
export const SAFE_RULES: readonly ValidationRule[] = specifiedRules.map((rule) =>
  rule === ValuesOfCorrectTypeRule ? safeValuesRule : withoutSuggestions(rule),
);

function withoutSuggestions(rule: ValidationRule): ValidationRule {
  return (context) => rule(reporting(context, (error) => rewritten(error, withoutSuggestion(error.message))));
}

function safeValuesRule(context: ValidationContext): ASTVisitor {
  return ValuesOfCorrectTypeRule(
    reporting(context, (error) => {
      const message = withoutSuggestion(error.message);
      if (NAMES_ONLY.test(message)) return rewritten(error, message);
      const type = context.getInputType();
      return rewritten(
        error,
        type ? `A value of type "${String(type)}" is expected here.` : 'The value does not have the type that is expected here.',
      );
    }),
  );
}

/** The validation context, with another way to report. */
function reporting(context: ValidationContext, rewrite: (error: GraphQLError) => GraphQLError): ValidationContext {
  return new Proxy(context, {
    get(target, property) {
      if (property === 'reportError') return (error: GraphQLError) => target.reportError(rewrite(error));
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function rewritten(error: GraphQLError, message: string): GraphQLError {
  return message === error.message
    ? error
    : new GraphQLError(message, { nodes: error.nodes, source: error.source, positions: error.positions });
}

/** A variable that does not fit its type, said without the value. */
export interface VariableProblem {
  /** `input.tensors[0].shape`: the variable's name and the path below it. */
  readonly field: string;
  readonly message: string;
}

const MAX_PROBLEMS = 5;

/** What is wrong with the variables of an operation; empty when all of them fit. */
export function variableProblems(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): readonly VariableProblem[] {
  const problems: VariableProblem[] = [];
  for (const definition of operation.variableDefinitions ?? []) {
    if (problems.length >= MAX_PROBLEMS) break;
    const name = definition.variable.name.value;
    const type = typeFromAST(schema, definition.type);
    if (!isInputType(type)) continue;
    if (!Object.hasOwn(variables, name) || variables[name] === null) {
      const isMissing = isNonNullType(type) && (definition.defaultValue === undefined || Object.hasOwn(variables, name));
      if (isMissing) problems.push({ field: name, message: `Variable "$${name}" of type "${String(type)}" is required.` });
      continue;
    }
    coerceUntil(variables[name], type, (path, value: unknown, error) => {
      const field = [name, ...path].map(segment).join('').replace(/^\./, '');
      const message = withoutSuggestion(error.message);
      const reason = NAMES_ONLY.test(message)
        ? message
        : `A value of type "${String(typeAt(type, path))}" is expected, got ${kindOf(value)}.`;
      problems.push({ field, message: `Variable "$${name}" is not valid at "${field}": ${reason}` });
      return problems.length >= MAX_PROBLEMS;
    });
  }
  return problems;
}

/** What a value is in JSON's terms; never the value itself. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function segment(part: string | number): string {
  if (typeof part === 'number') return `[${part}]`;
  return NAME.test(part) ? `.${part}` : '.?';
}

function typeAt(root: GraphQLInputType, path: readonly (string | number)[]): GraphQLInputType {
  let type = root;
  for (const part of path) {
    const open = isNonNullType(type) ? type.ofType : type;
    if (isListType(open) && typeof part === 'number') type = open.ofType;
    else {
      const named = getNamedType(open);
      const field = isInputObjectType(named) && typeof part === 'string' ? named.getFields()[part] : undefined;
      if (field === undefined) return type;
      type = field.type;
    }
  }
  return type;
}

/** The operation of a document that a name picks, or the only one. */
export function operationOf(document: DocumentNode, name: string | null | undefined): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((definition) => definition.kind === 'OperationDefinition');
  if (name === null || name === undefined || name === '') return operations.length === 1 ? operations[0] : undefined;
  return operations.find((operation) => operation.name?.value === name);
}

import { AppError } from '@weir/kernel';
import {
  coerceInputValue,
  getNullableType,
  isInputObjectType,
  isInputType,
  isListType,
  typeFromAST,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';

/** Thrown to stop a coercion at its first problem. */
const STOP = Symbol('stop');

/**
 * The variables of one operation, checked before they are used. The cost is bounded whatever they hold: lists are counted first, and
 * coercion stops at the first value that does not fit. graphql-jit does neither (it reports each element that does not fit, at
 * 50 µs), and it does not know `@oneOf`.
 */
export class VariableCheck {
  readonly #variables: readonly (readonly [name: string, type: GraphQLInputType])[];

  constructor(schema: GraphQLSchema, operation: OperationDefinitionNode) {
    this.#variables = (operation.variableDefinitions ?? []).flatMap((definition) => {
      const type = typeFromAST(schema, definition.type);
      return isInputType(type) ? [[definition.variable.name.value, type] as const] : [];
    });
  }

  /**
   * Do the values that are given fit their types? Values that are missing are left to the execution.
   *
   * @param maxListItems items of all lists together, those inside JSON scalars excepted
   * @throws request.too_large naming the variable
   */
  fits(values: Readonly<Record<string, unknown>>, maxListItems: number): boolean {
    let room = maxListItems;
    for (const [name, type] of this.#variables) {
      room = roomAfter(values[name], type, room);
      if (room < 0)
        throw new AppError('request.too_large', { field: name, message: `The variables hold more than ${maxListItems} list items.` });
    }
    return this.#variables.every(([name, type]) => values[name] === undefined || values[name] === null || fitsType(values[name], type));
  }
}

/** What is left of `room` after the list items in a value; negative as soon as it does not suffice. */
function roomAfter(value: unknown, declared: GraphQLInputType, room: number): number {
  const type = getNullableType(declared);
  if (isListType(type)) {
    if (!Array.isArray(value)) return roomAfter(value, type.ofType, room);
    let left = room - value.length;
    const item = getNullableType(type.ofType);
    if (!isListType(item) && !isInputObjectType(item)) return left;
    for (let index = 0; index < value.length && left >= 0; index++) left = roomAfter(value[index], item, left);
    return left;
  }
  if (!isInputObjectType(type) || typeof value !== 'object' || value === null) return room;
  let left = room;
  for (const field of Object.values(type.getFields())) {
    const given: unknown = Reflect.get(value, field.name);
    if (given !== undefined && left >= 0) left = roomAfter(given, field.type, left);
  }
  return left;
}

function fitsType(value: unknown, type: GraphQLInputType): boolean {
  let isFit = true;
  coerceUntil(value, type, () => {
    isFit = false;
    return true;
  });
  return isFit;
}

/** Coerces a value for its problems alone. @param onProblem returns true to stop the coercion there */
export function coerceUntil(
  value: unknown,
  type: GraphQLInputType,
  onProblem: (...problem: Parameters<NonNullable<Parameters<typeof coerceInputValue>[2]>>) => boolean,
): void {
  try {
    coerceInputValue(value, type, (...problem) => {
      if (onProblem(...problem)) throw STOP;
    });
  } catch (error) {
    if (error !== STOP) throw error;
  }
}

import { AppError } from '@weir/kernel';
import { decodeTensor, formatShape, type BytesElement, type Parameters, type Tensor } from '@weir/open-inference';
import type { TaskCall } from './task.ts';

/** Where the one processed input of a request stands. */
const FIELD = 'inputs[0]';

/** The field of one item of a processed input, such as `inputs[0].data[3]`. */
export function itemField(index: number): string {
  return `${FIELD}.data[${index}]`;
}

/** The one processed input of a call, decoded. Which one it is and its datatype are checked before the task is called. */
export function processedInput({ request }: Pick<TaskCall, 'request'>): Tensor {
  const [input] = request.inputs;
  if (input === undefined) throw new AppError('model.input_invalid', { field: 'inputs', message: 'expected one input, got none' });
  return decodeTensor(input, FIELD);
}

/**
 * The items of a processed input of datatype BYTES: a tensor `[n]` or `[n, 1]`.
 *
 * @throws model.input_invalid naming the shape that is expected and that came
 * @throws request.too_large when there are more items than a call may hold
 */
export function itemsOf(tensor: Tensor, maxItems: number): readonly BytesElement[] {
  const [items, rest] = tensor.shape;
  if (items === undefined || items === 0 || tensor.shape.length > 2 || (rest !== undefined && rest !== 1) || !Array.isArray(tensor.data)) {
    throw new AppError('model.input_invalid', {
      field: `${FIELD}.shape`,
      message: `input ${JSON.stringify(tensor.name)}: expected shape [n] with n of at least 1, got ${formatShape(tensor.shape)}`,
    });
  }
  assertItemCount(items, maxItems);
  return tensor.data;
}

/** @throws request.too_large when there are more items than a call may hold */
export function assertItemCount(items: number, maxItems: number): void {
  if (items > maxItems)
    throw new AppError('request.too_large', { field: `${FIELD}.shape`, message: `a call may hold ${maxItems} items, got ${items}` });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The texts of a processed input, bytes read as UTF-8.
 *
 * @throws model.input_invalid naming the item that is too long or no text
 * @throws request.too_large when there are more items than a call may hold
 */
export function textsOf(call: Pick<TaskCall, 'request' | 'limits'>): readonly string[] {
  const { maxItems, maxTextCharacters } = call.limits;
  return itemsOf(processedInput(call), maxItems).map((item, index) => {
    const text = textOf(item, index);
    if (text.length <= maxTextCharacters) return text;
    throw new AppError('model.input_invalid', {
      field: itemField(index),
      message: `item ${index} has ${text.length} characters, at most ${maxTextCharacters} are allowed`,
    });
  });
}

function textOf(item: BytesElement, index: number): string {
  if (typeof item === 'string') return item;
  try {
    return utf8.decode(item);
  } catch (error) {
    throw new AppError('model.input_invalid', {
      field: itemField(index),
      message: `item ${index}: expected text in UTF-8, got bytes that are none`,
      cause: error,
    });
  }
}

/**
 * A parameter of the request that is a whole number.
 *
 * @throws model.input_invalid naming the parameter and what it may be
 */
export function wholeNumberParameter(
  parameters: Parameters,
  name: string,
  { minimum, maximum, byDefault }: { readonly minimum: number; readonly maximum: number; readonly byDefault: number },
): number {
  const value = parameters[name] ?? byDefault;
  if (typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new AppError('model.input_invalid', {
    field: `parameters.${name}`,
    message: `parameters.${name} must be a whole number from ${minimum} to ${maximum}`,
  });
}

/**
 * A parameter of the request that is a number from `minimum` to `maximum`.
 *
 * @throws model.input_invalid naming the parameter and what it may be
 */
export function numberParameter(
  parameters: Parameters,
  name: string,
  { minimum, maximum, byDefault }: { readonly minimum: number; readonly maximum: number; readonly byDefault: number },
): number {
  const value = parameters[name] ?? byDefault;
  if (typeof value === 'number' && value >= minimum && value <= maximum) return value;
  throw new AppError('model.input_invalid', {
    field: `parameters.${name}`,
    message: `parameters.${name} must be a number from ${minimum} to ${maximum}`,
  });
}

import { AppError } from '@weir/kernel';

/** A caller's input that does not have the form of the protocol. `field`: its path in the request, or the header's name. */
export function invalid(field: string, message: string): AppError {
  return new AppError('model.input_invalid', { field, message });
}

/** The JSON type of a value, as people call it; NaN never comes out of JSON. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (value === undefined) return 'nothing';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A caller's own text in a message: short, and only where the message needs it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { AppError } from '@weir/kernel';

/** Longer than any name or id. */
const MAX_LENGTH = 200;

/** Can the database be asked for this text? It refuses a zero character. */
export function isSearchable(text: string): boolean {
  return text.length <= MAX_LENGTH && !text.includes('\u0000');
}

/** @throws request.invalid naming the field, for a text that no name or id can be */
export function checkText(field: string, text: string | null | undefined): void {
  if (text !== null && text !== undefined && !isSearchable(text))
    throw new AppError('request.invalid', { field, message: `${field}: must be a name or an id.` });
}

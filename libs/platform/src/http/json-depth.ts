import { AppError } from '@weir/kernel';

/** Levels that JSON of a request may nest. Inputs of models and variables of GraphQL documents have fewer than ten. */
export const MAX_JSON_DEPTH = 64;

const QUOTE = 0x22;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
/** Bytes of a string that are read one by one before the rest is left to a native search: most strings are shorter. */
const SHORT_STRING = 32;

/**
 * Bounds how deep JSON nests before it is parsed: `JSON.parse` takes 275 MB and a second for 8 MB of brackets. Allocates nothing. Most
 * large bodies (an image, a flat tensor) have few brackets, which a native search finds in a millisecond; others are read byte by byte
 * up to the first bracket too many. Text that is not JSON passes; the parser refuses it.
 *
 * @throws request.invalid it nests deeper than `maxDepth`
 */
export function assertJsonDepth(json: Uint8Array, maxDepth = MAX_JSON_DEPTH): void {
  if (countOf(OPEN_ARRAY, json, maxDepth) + countOf(OPEN_OBJECT, json, maxDepth) <= maxDepth) return;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0;
    if (byte < OPEN_ARRAY) {
      if (byte === QUOTE) at = endOfString(json, at);
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > maxDepth) throw new AppError('request.invalid', { message: `JSON may nest ${maxDepth} levels deep.` });
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1;
  }
}

/** How often the byte is there; counting ends above `enough`. */
function countOf(byte: number, json: Uint8Array, enough: number): number {
  let count = 0;
  for (let at = json.indexOf(byte); at !== -1 && count <= enough; at = json.indexOf(byte, at + 1)) count += 1;
  return count;
}

/** Index of the quote that ends the string which begins at `start`; the length of the text when none does. */
function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1;
  for (;;) {
    for (const end = Math.min(json.length, at + SHORT_STRING); at < end; at++) {
      if (json[at] === QUOTE) return at;
      if (json[at] === BACKSLASH) at += 1;
    }
    const quote = json.indexOf(QUOTE, at);
    if (quote === -1) return json.length;
    let first = quote;
    while (first > at && json[first - 1] === BACKSLASH) first -= 1;
    if ((quote - first) % 2 === 0) return quote;
    at = quote + 1;
  }
}

import { AppError } from '@weir/kernel';

/** Levels that JSON of a request may nest. Inputs of models and variables of GraphQL documents have fewer than ten. */
export const MAX_JSON_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
/** Characters of a string that are read one by one before the rest is left to a native search: most strings are shorter. */
const SHORT_STRING = 32;

/**
 * Bounds how deep JSON nests before it is parsed: `JSON.parse` takes 275 MB and a second for 8 MB of brackets. One pass over the bytes,
 * which stops at the first bracket too many and allocates nothing. Text that is not JSON passes; the parser refuses it.
 *
 * @throws request.invalid it nests deeper than `maxDepth`
 */
export function assertJsonDepth(json: Uint8Array, maxDepth = MAX_JSON_DEPTH): void {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        depth += 1;
        if (depth > maxDepth) throw new AppError('request.invalid', { message: `JSON may nest ${maxDepth} levels deep.` });
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1;
        break;
      case QUOTE:
        at = endOfString(json, at);
        break;
    }
  }
}

/** Index of the quote that ends the string which begins at `start`; the length of the text when none does. */
function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1;
  for (const end = Math.min(json.length, at + SHORT_STRING); at < end; at++) {
    if (json[at] === QUOTE) return at;
    if (json[at] === BACKSLASH) at += 1;
  }
  for (;;) {
    const quote = json.indexOf(QUOTE, at);
    if (quote === -1) return json.length;
    let first = quote;
    while (first > at && json[first - 1] === BACKSLASH) first -= 1;
    if ((quote - first) % 2 === 0) return quote;
    at = quote + 1;
  }
}

// Finds values in JSON without reading them: bodies hold millions of numbers that are only handed on. A value is a span of
// bytes; whether what stands inside it is valid JSON is for whoever reads it in the end.

/** A stretch of bytes; `end` is behind its last one. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const MAX_DEPTH = 64;

/**
 * The members of an object, by their names.
 *
 * @throws SyntaxError when there is no object, it does not end, or a name is given twice: readers differ in which one they take
 */
export function membersOf(json: Buffer, { start, end }: Span): Map<string, Span> {
  const members = new Map<string, Span>();
  const list = new ListReader(json, start, end, OPEN_BRACE, CLOSE_BRACE);
  while (list.next()) {
    const name = list.value();
    if (json[name.start] !== QUOTE) throw new SyntaxError('a name was expected');
    const key = parsed(json, name);
    list.expect(COLON);
    if (typeof key !== 'string' || members.has(key)) throw new SyntaxError('a name is given twice');
    members.set(key, list.value());
  }
  return members;
}

/** The elements of an array. @throws SyntaxError when there is none, or it does not end */
export function elementsOf(json: Buffer, { start, end }: Span): Span[] {
  const elements: Span[] = [];
  const list = new ListReader(json, start, end, OPEN_BRACKET, CLOSE_BRACKET);
  while (list.next()) elements.push(list.value());
  return elements;
}

/** A value, read. @throws SyntaxError */
export function parsed(json: Buffer, { start, end }: Span): unknown {
  return JSON.parse(json.toString('utf8', start, end));
}

/** The same JSON with some spans replaced. */
export function withReplaced(json: Buffer, replacements: readonly (Span & { readonly text: string })[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of [...replacements].sort((a, b) => a.start - b.start)) {
    parts.push(json.subarray(at, start), Buffer.from(text));
    at = end;
  }
  parts.push(json.subarray(at));
  return Buffer.concat(parts);
}

/** Walks along the values between two brackets. */
class ListReader {
  readonly #json: Buffer;
  readonly #end: number;
  readonly #close: number;
  #at: number;
  #isFirst = true;

  constructor(json: Buffer, start: number, end: number, open: number, close: number) {
    this.#json = json;
    this.#end = end;
    this.#close = close;
    this.#at = start;
    this.expect(open);
  }

  /** Is there another value? */
  next(): boolean {
    this.#skipSpace();
    if (this.#json[this.#at] === this.#close && this.#at < this.#end) return false;
    if (!this.#isFirst) this.expect(COMMA);
    this.#isFirst = false;
    return true;
  }

  expect(byte: number): void {
    this.#skipSpace();
    if (this.#at >= this.#end || this.#json[this.#at] !== byte) throw new SyntaxError(`${String.fromCharCode(byte)} was expected`);
    this.#at++;
  }

  value(): Span {
    this.#skipSpace();
    const start = this.#at;
    this.#at = valueEnd(this.#json, start, this.#end);
    return { start, end: this.#at };
  }

  #skipSpace(): void {
    while (this.#at < this.#end && isSpace(this.#json[this.#at])) this.#at++;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isEndOfPlain(byte: number | undefined): boolean {
  return byte === undefined || byte === COMMA || byte === COLON || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || isSpace(byte);
}

/** Where the value that begins at `start` ends. */
function valueEnd(json: Buffer, start: number, end: number): number {
  const first = json[start];
  if (start < end && first === QUOTE) return stringEnd(json, start, end);
  if (start < end && (first === OPEN_BRACE || first === OPEN_BRACKET)) return nestedEnd(json, start, end);
  let at = start;
  while (at < end && !isEndOfPlain(json[at])) at++;
  if (at === start) throw new SyntaxError('a value was expected');
  return at;
}

function stringEnd(json: Buffer, start: number, end: number): number {
  for (let at = json.indexOf(QUOTE, start + 1); at !== -1 && at < end; at = json.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (json[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
  throw new SyntaxError('a text does not end');
}

function nestedEnd(json: Buffer, start: number, end: number): number {
  const closes: number[] = [];
  for (let at = start; at < end; at++) {
    const byte = json[at];
    if (byte === QUOTE) at = stringEnd(json, at, end) - 1;
    else if (byte === OPEN_BRACE) closes.push(CLOSE_BRACE);
    else if (byte === OPEN_BRACKET) {
      closes.push(CLOSE_BRACKET);
      at = plainEnd(json, at, end);
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (closes.pop() !== byte) throw new SyntaxError('brackets do not match');
      if (closes.length === 0) return at + 1;
    }
    if (closes.length > MAX_DEPTH) throw new SyntaxError('brackets are nested too deeply');
  }
  throw new SyntaxError('a bracket is not closed');
}

/** The place before the end of an array that holds numbers alone, as those of tensors do; of another one the place where it begins. */
function plainEnd(json: Buffer, start: number, end: number): number {
  const close = json.indexOf(CLOSE_BRACKET, start);
  if (close === -1 || close >= end) return start;
  const elements = json.subarray(start + 1, close);
  const isPlain =
    !elements.includes(QUOTE) && !elements.includes(OPEN_BRACKET) && !elements.includes(OPEN_BRACE) && !elements.includes(CLOSE_BRACE);
  return isPlain ? close - 1 : start;
}

// Runs in the thread of a tokenizer: imports nothing of the platform.

/** A stretch of a text in UTF-16 units; the end is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A letter with the marks that belong to it. */
const CLUSTER = /\P{M}\p{M}*|\p{M}+/gu;

/** What tokenizers put in and leave out. */
const BLANK = /[\s▁]/u;

/**
 * Where the parts of a normalised text stand in the text that it was made of. Normalising may change, leave out and put in
 * characters; what it makes of each letter by itself shows which of them became which.
 */
export class Alignment {
  readonly #normalised: string;
  /** For each UTF-16 unit of the normalised text the part of the source that it was made of. */
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** Words are placed in their order: behind this one the next one stands. */
  #cursor = 0;

  /** @param sourceStart where the source stands in the whole text */
  constructor(source: string, sourceStart: number, normalised: string, normalise: (part: string) => string) {
    this.#normalised = normalised.replaceAll(' ', '▁');
    this.#starts = new Int32Array(normalised.length);
    this.#ends = new Int32Array(normalised.length);
    const known = new Map<string, string>();
    let at = 0;
    const take = (start: number, end: number): void => {
      this.#starts[at] = sourceStart + start;
      this.#ends[at] = sourceStart + end;
      at++;
    };
    for (const { 0: cluster, index } of source.matchAll(CLUSTER)) {
      let made = known.get(cluster);
      if (made === undefined) known.set(cluster, (made = normalise(cluster)));
      for (const unit of made.split('')) {
        if (at >= normalised.length) return;
        const isSame = normalised[at] === unit;
        if (!isSame && BLANK.test(unit)) continue;
        while (!isSame && at < normalised.length && normalised[at] !== unit && BLANK.test(normalised[at] ?? '')) take(index, index);
        take(index, index + cluster.length);
      }
    }
    while (at < normalised.length) take(source.length, source.length);
  }

  /** The place in the source of a part of the normalised text. */
  spanOf(start: number, end: number): Span {
    let from = start;
    let to = end;
    while (from < to && BLANK.test(this.#normalised[from] ?? '')) from++;
    while (to > from && BLANK.test(this.#normalised[to - 1] ?? '')) to--;
    const begin = this.#starts[from] ?? this.#ends.at(-1) ?? 0;
    return { start: begin, end: to > from ? Math.max(begin, this.#ends[to - 1] ?? begin) : begin };
  }

  /** Words from here on stand behind this place of the normalised text. */
  moveTo(start: number): void {
    this.#cursor = start;
  }

  /**
   * Finds the next word in the normalised text; the returned function tells where in the source a part of the word stands.
   *
   * @param word as it is read, perhaps with a blank in front of it that the text does not have
   */
  place(word: string): (part: Span) => Span {
    const marked = word.replaceAll(' ', '▁');
    const content = marked.replace(/^▁+/, '');
    const floor = this.#cursor;
    const found = content === '' ? floor : this.#normalised.indexOf(content, floor);
    const start = found === -1 || content === '' ? floor : found - (marked.length - content.length);
    this.#cursor = Math.max(floor, start + marked.length);
    return (part) => this.spanOf(Math.max(floor, start + part.start), Math.max(floor, start + part.end));
  }
}

/** How a model writes its tokens. */
export interface PieceSpelling {
  /** Each character of a token stands for a byte. */
  readonly isByteLevel: boolean;
  /** In front of tokens that go on with a word, such as `##`. */
  readonly continuingPrefix: string;
}

/** A byte as a token, where a model has no other one for a character. */
const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;

/** Where in a word its tokens stand. A token for the unknown stands for the whole word when it is alone, else for one character. */
export function pieceSpans(word: string, tokens: readonly string[], { isByteLevel, continuingPrefix }: PieceSpelling): Span[] {
  if (isByteLevel) return byteSpans(word, tokens);
  if (tokens.length === 1) return [{ start: 0, end: word.length }];
  let at = 0;
  let bytesLeft = 0;
  return tokens.map((token, index): Span => {
    const piece = index > 0 && continuingPrefix !== '' && token.startsWith(continuingPrefix) ? token.slice(continuingPrefix.length) : token;
    const start = at;
    if (word.startsWith(piece, at)) {
      at += piece.length;
      return { start, end: at };
    }
    const character = String.fromCodePoint(word.codePointAt(at) ?? 0);
    if (BYTE_TOKEN.test(token)) {
      if (bytesLeft === 0) bytesLeft = Buffer.byteLength(character);
      bytesLeft--;
      if (bytesLeft > 0) return { start, end: start + character.length };
    }
    at = Math.min(word.length, at + character.length);
    return { start, end: at };
  });
}

/** Tokens whose characters are bytes: one that ends inside a character takes all of it. */
function byteSpans(word: string, tokens: readonly string[]): Span[] {
  const startOfByte: number[] = [];
  const endOfByte: number[] = [];
  let at = 0;
  for (const character of word) {
    for (let byte = Buffer.byteLength(character); byte > 0; byte--) {
      startOfByte.push(at);
      endOfByte.push(at + character.length);
    }
    at += character.length;
  }
  let byte = 0;
  return tokens.map(({ length }): Span => {
    const start = startOfByte[byte] ?? word.length;
    byte += length;
    return { start, end: length === 0 ? start : (endOfByte[byte - 1] ?? word.length) };
  });
}

import { Tokenizer } from '@huggingface/tokenizers';
import type { Turns } from '../turns.ts';
import { textOfBytes } from './byte-level.ts';
import { Alignment, pieceSpans } from './token-offsets.ts';

// Runs in the thread of a tokenizer: imports nothing of the platform.

/** A token that is looked for in a text as it is, before it is divided into words. */
interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Takes the space in front of it, or behind it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in the normalised text. */
  readonly normalized: boolean;
}

/** The parts of the library's tokenizer: the types that it comes with do not resolve. */
interface TokenizerParts {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string, options: { readonly section_index: number }): string[] } | null;
  readonly model: ((words: readonly string[]) => string[]) & { readonly unk_token_id?: number };
  readonly post_processor: { post_process(tokens: readonly string[], pair: null, addSpecialTokens: boolean): { tokens: string[] } } | null;
  token_to_id(token: string): number | undefined;
  get_added_tokens_decoder(): ReadonlyMap<number, AddedToken>;
}

/** A text as a model reads it. */
export interface EncodedText {
  readonly ids: readonly number[];
  /** First and last (exclusive) UTF-16 unit of each token in the text, -1 for special ones; empty when they were not asked for. */
  readonly offsets: readonly number[];
}

/** A part of a text: an added token such as `[SEP]`, or what stands between two of them. */
interface Section {
  readonly text: string;
  /** Where it begins, in UTF-16 units. */
  readonly start: number;
  readonly added: AddedToken | null;
}

/** The tokens of a text as far as they are known. */
interface Encoding {
  /** How many tokens the model takes beside the special ones. */
  readonly room: number;
  readonly ids: number[];
  /** Null when nobody asks where the tokens stand. */
  readonly offsets: number[] | null;
}

/** Special tokens have no place in the text. */
const NOWHERE = -1;

/** A word with the mark that `Metaspace` puts in front of it. */
const MARKED_WORD = /▁?[^▁]+|▁/g;

/**
 * Makes texts into token ids with the parts of the library's tokenizer, word by word. The library's own `encode` reads a text to
 * its end at once, however few tokens the model takes, and does not say where in the text a token stands.
 */
export class TokenEncoder {
  readonly #tokenizer: TokenizerParts;
  readonly #maxTokens: number;
  readonly #removesSpace: boolean;
  readonly #removesAccents: boolean;
  /** Ids of the special tokens in front of a text, and behind it. */
  readonly #before: readonly number[];
  readonly #after: readonly number[];
  /** Tokens that are looked for in the text as it is, and in the normalised one. */
  readonly #added: AddedTokens;
  readonly #addedNormalised: AddedTokens;
  /** Each character of a word, and of a token, stands for a byte. */
  readonly #isByteLevel: boolean;
  readonly #splitsAtMarks: boolean;
  readonly #continuingPrefix: string;

  /**
   * @param tokenizer content of `tokenizer.json`
   * @param config content of `tokenizer_config.json`
   * @param maxTokens longest row, special tokens included; what is longer loses its end, never its special tokens
   * @throws when the library does not know such a tokenizer
   */
  constructor(tokenizer: object, config: object, maxTokens: number) {
    this.#tokenizer = new Tokenizer(tokenizer, config);
    this.#maxTokens = maxTokens;
    this.#removesSpace = fieldOf(config, 'remove_space') === true;
    this.#removesAccents = fieldOf(config, 'do_lowercase_and_remove_accent') === true;
    const { normalizer, post_processor } = this.#tokenizer;
    const text = 'the text';
    const framed = post_processor?.post_process([text], null, true).tokens ?? [text];
    this.#before = this.#idsOf(framed.slice(0, framed.indexOf(text)));
    this.#after = this.#idsOf(framed.slice(framed.indexOf(text) + 1));
    const added = [...this.#tokenizer.get_added_tokens_decoder().values()];
    const isNormalised = (token: AddedToken): boolean => token.normalized && normalizer !== null;
    this.#added = new AddedTokens(added.filter((token) => !isNormalised(token)).map((token) => [token.content, token]));
    this.#addedNormalised = new AddedTokens(
      added.filter(isNormalised).map((token) => [normalizer?.normalize(token.content) ?? token.content, token]),
    );
    const steps = preTokenizersOf(fieldOf(tokenizer, 'pre_tokenizer'));
    this.#isByteLevel = steps.some((step) => fieldOf(step, 'type') === 'ByteLevel');
    const last = steps.at(-1);
    this.#splitsAtMarks = fieldOf(last, 'type') === 'Metaspace' && fieldOf(last, 'split') !== false;
    const prefix = fieldOf(fieldOf(tokenizer, 'model'), 'continuing_subword_prefix');
    this.#continuingPrefix = typeof prefix === 'string' ? prefix : '';
  }

  /** @param turns lets other texts have the thread between two words */
  async encode(text: string, withOffsets: boolean, turns: Turns): Promise<EncodedText> {
    const encoding: Encoding = {
      room: Math.max(0, this.#maxTokens - this.#before.length - this.#after.length),
      ids: [],
      offsets: withOffsets ? [] : null,
    };
    for (const [index, section] of this.#added.split(text).entries()) {
      if (encoding.ids.length >= encoding.room) break;
      if (section.added === null) await this.#encodeSection(section, index, encoding, turns);
      else push(encoding, section.added.id, section.start, section.start + section.text.length);
    }
    const { ids, offsets, room } = encoding;
    const nowhere = (count: number): number[] => (withOffsets ? Array.from({ length: 2 * count }, () => NOWHERE) : []);
    return {
      ids: [...this.#before, ...ids.slice(0, room), ...this.#after],
      offsets: [...nowhere(this.#before.length), ...(offsets ?? []).slice(0, 2 * room), ...nowhere(this.#after.length)],
    };
  }

  async #encodeSection(section: Section, sectionIndex: number, encoding: Encoding, turns: Turns): Promise<void> {
    if (turns.isOver) await turns.next();
    const { pre_tokenizer, model } = this.#tokenizer;
    const normalised = this.#normalise(section.text);
    const alignment =
      encoding.offsets === null ? null : new Alignment(section.text, section.start, normalised, (part) => this.#normalise(part));
    for (const part of this.#addedNormalised.split(normalised)) {
      if (part.added !== null) {
        const span = alignment?.spanOf(part.start, part.start + part.text.length);
        push(encoding, part.added.id, span?.start ?? NOWHERE, span?.end ?? NOWHERE);
        continue;
      }
      const words = pre_tokenizer === null ? [part.text] : pre_tokenizer.pre_tokenize(part.text, { section_index: sectionIndex });
      alignment?.moveTo(part.start);
      for (const word of this.#splitsAtMarks ? words.flatMap((each) => each.match(MARKED_WORD) ?? []) : words) {
        if (encoding.ids.length >= encoding.room) return;
        if (turns.isOver) await turns.next();
        this.#encodeWord(word, model([word]), alignment, encoding);
      }
    }
  }

  #encodeWord(word: string, tokens: readonly string[], alignment: Alignment | null, encoding: Encoding): void {
    if (alignment === null) {
      for (const token of tokens) push(encoding, this.#idOf(token), NOWHERE, NOWHERE);
      return;
    }
    const text = this.#isByteLevel ? textOfBytes(word) : word;
    const spans = pieceSpans(text, tokens, { isByteLevel: this.#isByteLevel, continuingPrefix: this.#continuingPrefix });
    const place = alignment.place(text);
    for (const [index, token] of tokens.entries()) {
      const span = place(spans[index] ?? { start: 0, end: 0 });
      push(encoding, this.#idOf(token), span.start, span.end);
    }
  }

  #normalise(text: string): string {
    let normalised = this.#removesSpace ? text.trim().split(/\s+/).join(' ') : text;
    if (this.#removesAccents) normalised = normalised.toLowerCase().replace(/\p{M}/gu, '');
    return this.#tokenizer.normalizer?.normalize(normalised) ?? normalised;
  }

  #idsOf(tokens: readonly string[]): number[] {
    return tokens.map((token) => this.#idOf(token)).filter((id) => id !== null);
  }

  /** Null for what the vocabulary does not know where it has no token for the unknown. */
  #idOf(token: string): number | null {
    return this.#tokenizer.token_to_id(token) ?? this.#tokenizer.model.unk_token_id ?? null;
  }
}

function push({ ids, offsets }: Encoding, id: number | null, start: number, end: number): void {
  if (id === null) return;
  ids.push(id);
  offsets?.push(start, end);
}

/** Tokens that are found in a text as they are, before it is divided into words. */
class AddedTokens {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | null;

  /** @param tokens with the form in which they stand in the text */
  constructor(tokens: readonly (readonly [string, AddedToken])[]) {
    this.#tokens = new Map(tokens.filter(([content]) => content !== ''));
    // The longest one wins where several begin at the same place.
    const contents = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    this.#pattern = contents.length === 0 ? null : new RegExp(contents.map(literal).join('|'), 'g');
  }

  split(text: string): Section[] {
    const sections: Section[] = [];
    let end = 0;
    const textUntil = (next: number): void => {
      if (next > end) sections.push(this.#stripped(text, end, next, sections.at(-1)?.added ?? null));
    };
    for (const { 0: content, index } of this.#pattern === null ? [] : text.matchAll(this.#pattern)) {
      const added = this.#tokens.get(content) ?? null;
      textUntil(index);
      const previous = sections.at(-1);
      if (added?.lstrip === true && previous?.added === null)
        sections[sections.length - 1] = { ...previous, text: previous.text.trimEnd() };
      sections.push({ text: content, start: index, added });
      end = index + content.length;
    }
    textUntil(text.length);
    return sections.filter((section) => section.text !== '');
  }

  /** The text between two tokens, without the space that the one before it takes. */
  #stripped(text: string, from: number, to: number, before: AddedToken | null): Section {
    const part = text.slice(from, to);
    const kept = before?.rstrip === true ? part.trimStart() : part;
    return { text: kept, start: to - kept.length, added: null };
  }
}

/** The pattern that finds a text as it is. */
function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The steps of a pre-tokenizer in their order. */
function preTokenizersOf(preTokenizer: unknown): unknown[] {
  const steps = fieldOf(preTokenizer, 'pretokenizers');
  return Array.isArray(steps) ? steps.flatMap(preTokenizersOf) : [preTokenizer];
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}

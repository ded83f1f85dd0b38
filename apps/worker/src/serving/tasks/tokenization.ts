import { Tokenizer } from '@huggingface/tokenizers';

// Runs in the thread of the models: imports nothing of the platform.

/** Sentences as the tensors of a text model: each `[texts, tokens]`, padded on the right. */
export interface TokenBatch {
  readonly rows: number;
  readonly columns: number;
  readonly inputIds: BigInt64Array;
  readonly attentionMask: BigInt64Array;
  /** Tokens that stand for text, special ones included, padding not. */
  readonly tokens: number;
}

export interface TextTokenizer {
  encode(texts: readonly string[]): TokenBatch;
}

/**
 * @param maxTokens longest row, special tokens included; what is longer loses its end, never its special tokens
 * @throws when `tokenizer` is not a tokenizer that the library knows
 */
export function createTextTokenizer(tokenizer: object, config: object, maxTokens: number, padTokenId: number): TextTokenizer {
  const encoder = new Tokenizer(tokenizer, config);
  const idsOf = (text: string): number[] => {
    const ids = encoder.encode(text).ids;
    if (ids.length <= maxTokens) return ids;
    const bare = encoder.encode(text, { add_special_tokens: false }).ids;
    const specials = ids.length - bare.length;
    const before = leadingSpecials(ids, bare, specials);
    const kept = Math.max(0, maxTokens - specials);
    return [...ids.slice(0, before), ...bare.slice(0, kept), ...ids.slice(before + bare.length)];
  };
  return {
    encode: (texts) => {
      const encoded = texts.map(idsOf);
      const rows = encoded.length;
      const columns = encoded.reduce((longest, ids) => Math.max(longest, ids.length), 1);
      const inputIds = new BigInt64Array(rows * columns).fill(BigInt(padTokenId));
      const attentionMask = new BigInt64Array(rows * columns);
      let tokens = 0;
      for (const [row, ids] of encoded.entries()) {
        for (const [column, id] of ids.entries()) inputIds[row * columns + column] = BigInt(id);
        attentionMask.fill(1n, row * columns, row * columns + ids.length);
        tokens += ids.length;
      }
      return { rows, columns, inputIds, attentionMask, tokens };
    },
  };
}

/** How many of the special tokens stand before the text. */
function leadingSpecials(ids: readonly number[], bare: readonly number[], specials: number): number {
  for (let before = 0; before < specials; before++) {
    if (bare.every((id, index) => ids[before + index] === id)) return before;
  }
  return specials;
}

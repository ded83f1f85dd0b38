import { readFile } from 'node:fs/promises';
import { Tokenizer } from '@huggingface/tokenizers';
import type { TextPreparation } from '../model-package/text-preparation.ts';
import { invalidFile } from '../model-package/package-files.ts';

/** Makes texts into the token ids of one model. */
export interface TextTokenizer {
  /** Token ids of a text, at most `maxTokens`: what is longer loses its end, never its special tokens. */
  encode(text: string): readonly number[];
}

/** @throws model.package_invalid when `tokenizer.json` is not a tokenizer that the library knows */
export async function readTextTokenizer({ tokenizerFile, tokenizerConfigFile, maxTokens }: TextPreparation): Promise<TextTokenizer> {
  const tokenizer = await jsonObject(tokenizerFile);
  const config = tokenizerConfigFile === null ? {} : await jsonObject(tokenizerConfigFile);
  try {
    return createTextTokenizer(new Tokenizer(tokenizer, config), maxTokens);
  } catch (error) {
    throw invalidFile('tokenizer.json', `is not a tokenizer that is known here: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function jsonObject(file: string): Promise<object> {
  const content: unknown = JSON.parse(await readFile(file, 'utf8'));
  return typeof content === 'object' && content !== null ? content : {};
}

function createTextTokenizer(encoder: Tokenizer, maxTokens: number): TextTokenizer {
  return {
    encode: (text) => {
      const ids = encoder.encode(text).ids;
      if (ids.length <= maxTokens) return ids;
      const bare = encoder.encode(text, { add_special_tokens: false }).ids;
      const specials = ids.length - bare.length;
      const before = leadingSpecials(ids, bare, specials);
      const kept = Math.max(0, maxTokens - specials);
      return [...ids.slice(0, before), ...bare.slice(0, kept), ...ids.slice(before + bare.length)];
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

import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { Turns } from '../turns.ts';
import { TokenEncoder } from './token-encoder.ts';
import { aByteLevelTokenizer, aUnigramTokenizer, aWordPieceTokenizer } from './tokenizer.fixture.ts';

const sentiment = new URL('../../../../../../models/sentiment/tokenizer.json', import.meta.url);

const TOKENIZERS: readonly [string, object][] = [
  ['BERT', aWordPieceTokenizer()],
  ['the starter model', JSON.parse(readFileSync(sentiment, 'utf8')) as object],
  ['XLM-RoBERTa', aUnigramTokenizer()],
  ['GPT-2', aByteLevelTokenizer()],
];

const TEXTS = [
  '',
  '   ',
  'Anna lives in New York.',
  "Two  spaces,\ta tab\nand a line — done!!! don't",
  'Naïve CAFÉ, ÅNGSTRÖM, ΣΊΣΥΦΟΣ',
  '日本に住む。mixed',
  '👩‍👩‍👧‍👦 and 🙂🙂',
  'a [MASK] b [SEP]c <mask> d<|end|>e </s>',
  'one <|gap|> two<|end|>! three <|end|>',
  `${'x'.repeat(150)} y`,
  'a\u0301\u0301b e\u0301 ﬁne ½ ～ हिन्दी में',
  'control\u0000\u0007 \ufffd nbsp\u00a0 wide\u3000space \ud83d alone',
];

const turns = (): Turns => new Turns(new AbortController().signal);
const read = (tokenizer: object, text: string, maxTokens = 10_000) =>
  new TokenEncoder(tokenizer, {}, maxTokens).encode(text, true, turns());

/** What each token stands for in the text; null for special ones. */
async function pieces(tokenizer: object, text: string): Promise<(string | null)[]> {
  const { ids, offsets } = await read(tokenizer, text);
  return ids.map((_, index) => {
    const [start = -1, end = -1] = offsets.slice(2 * index, 2 * index + 2);
    return start === -1 ? null : text.slice(start, end);
  });
}

describe('the tokens of a text', () => {
  it.each(TOKENIZERS)('are those of the library, with a tokenizer like that of %s', async (_, tokenizer) => {
    const library = new Tokenizer(tokenizer, {});
    for (const text of TEXTS) expect((await read(tokenizer, text)).ids, JSON.stringify(text)).toEqual(library.encode(text).ids);
  });

  it.each(TOKENIZERS)('that are too many end with the special ones, with a tokenizer like that of %s', async (_, tokenizer) => {
    const library = new Tokenizer(tokenizer, {});
    const text = 'Anna lives in New York, newly. '.repeat(20);
    const whole = library.encode(text).ids;
    const bare = library.encode(text, { add_special_tokens: false }).ids;
    const specials = whole.length - bare.length;
    const expected = specials === 0 ? bare.slice(0, 12) : [...whole.slice(0, 1), ...bare.slice(0, 10), ...whole.slice(-1)];
    const { ids, offsets } = await read(tokenizer, text, 12);
    expect(ids).toEqual(expected);
    expect(offsets).toHaveLength(24);
  });

  it('are made only as far as the model reads', async () => {
    let asked = 0;
    const counting = Object.defineProperty(turns(), 'isOver', { get: () => ++asked < 0 });
    await new TokenEncoder(aWordPieceTokenizer(), {}, 16).encode('anna '.repeat(10_000), false, counting);
    expect(asked).toBeLessThan(32);
  });
});

describe('the place of each token in the text', () => {
  it('is told in the words as they were written, whatever the tokenizer made of them', async () => {
    expect(await pieces(aWordPieceTokenizer(), 'Ánna  lives in\u0000 NEW-York, 日.')).toEqual([
      null,
      'Ánna',
      'lives',
      'in',
      'NEW',
      '-',
      'York',
      ',',
      '日',
      '.',
      null,
    ]);
    expect(await pieces(aUnigramTokenizer(), 'Anna   lives in\tＮew York日本に')).toEqual([
      null,
      'Anna',
      'lives',
      'in',
      'Ｎew',
      'York',
      '日本',
      'に',
      null,
    ]);
    expect(await pieces(aByteLevelTokenizer(), 'Anna New York é')).toEqual(['Anna', 'New', 'York', '', 'é']);
  });

  it('is that of the whole word where the vocabulary does not have it', async () => {
    expect(await pieces(aWordPieceTokenizer(), 'anna ëжñ in')).toEqual([null, 'anna', 'ëжñ', 'in', null]);
  });

  it('is that of the whole letter where a token is a part of its bytes', async () => {
    expect(await pieces(aByteLevelTokenizer(), '日A')).toEqual(['日', '日', '日', 'A']);
  });

  it('is that of the mark itself where the text has one', async () => {
    expect(await pieces(aWordPieceTokenizer(), 'in [MASK] .')).toEqual([null, 'in', '[MASK]', '.', null]);
  });
});

/** `tokenizer.json` files of the kinds that models on Hugging Face have, each with a handful of words. */

interface Added {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
}

const special = (id: number, content: string, over: Partial<Added> = {}): Added => ({ id, content, special: true, ...over });
const vocabularyOf = (tokens: readonly string[]): Record<string, number> => Object.fromEntries(tokens.map((token, id) => [token, id]));
const letters = Array.from('abcdefghijklmnopqrstuvwxyz');

/** As BERT's: words in pieces, `[CLS]` and `[SEP]` around them. */
export function aWordPieceTokenizer(words: readonly string[] = ['anna', 'lives', 'in', 'new', 'york', '日', '.', ',', '-']): object {
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...words, ...letters, ...letters.map((letter) => `##${letter}`)];
  return {
    version: '1.0',
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]']
      .map((content, id) => special(id, content))
      .concat(special(4, '[MASK]', { lstrip: true })),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 0 } },
      ],
      pair: [],
      special_tokens: {},
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: vocabularyOf(tokens),
    },
  };
}

/** As XLM-RoBERTa's: pieces of the likeliest division, each word with a mark in front. */
export function aUnigramTokenizer(): object {
  const pieces = [
    '▁',
    '▁Anna',
    '▁lives',
    '▁in',
    '▁New',
    '▁York',
    '▁Y',
    'ork',
    'new',
    'ly',
    '日本',
    'に',
    ...letters,
    ...letters.map((letter) => letter.toUpperCase()),
  ];
  const specials = ['<s>', '<pad>', '</s>', '<unk>'];
  return {
    version: '1.0',
    added_tokens: specials
      .map((content, id) => special(id, content))
      .concat(special(specials.length + pieces.length, '<mask>', { lstrip: true, rstrip: true })),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }] },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }],
    },
    post_processor: { type: 'RobertaProcessing', cls: ['<s>', 0], sep: ['</s>', 2] },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    model: {
      type: 'Unigram',
      unk_id: 3,
      vocab: [...specials.map((token) => [token, 0]), ...pieces.map((piece) => [piece, -2 - 4 / piece.length]), ['<mask>', 0]],
    },
  };
}

/** As GPT-2's and RoBERTa's: bytes, joined by merges. */
export function aByteLevelTokenizer(pattern: string | null = null): object {
  const merges = [
    ['Ġ', 'N'],
    ['ĠN', 'e'],
    ['ĠNe', 'w'],
    ['Ġ', 'Y'],
    ['o', 'r'],
    ['ĠY', 'or'],
    ['ĠYor', 'k'],
    ['A', 'n'],
    ['An', 'n'],
    ['Ann', 'a'],
    ['Ã', '©'],
  ];
  const bytes = Array.from(
    '!"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~ĠĊĉÃ©ðŁĻĤæĹ¥ľ¬ãģ«',
  );
  const tokens = [...new Set(bytes), ...merges.map((pair) => pair.join(''))];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: pattern === null };
  return {
    version: '1.0',
    added_tokens: [
      special(tokens.length, '<|end|>'),
      special(tokens.length + 1, '<|end|>!'),
      special(tokens.length + 2, '<|gap|>', { lstrip: true, rstrip: true }),
    ],
    normalizer: null,
    pre_tokenizer:
      pattern === null
        ? byteLevel
        : {
            type: 'Sequence',
            pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }, byteLevel],
          },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: vocabularyOf([...tokens, '<|end|>', '<|end|>!', '<|gap|>']), merges },
  };
}

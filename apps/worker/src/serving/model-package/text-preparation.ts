import { z } from 'zod';
import type { ModelConfig } from './model-config.ts';
import { pathOf, readJson, type PackageFiles } from './package-files.ts';

/** How texts become tokens, from `tokenizer.json`, the files beside it and `config.json`. */
export interface TextPreparation {
  /** Absolute path of `tokenizer.json`. */
  readonly tokenizerFile: string;
  /** Absolute path of `tokenizer_config.json`; null where the package has none. */
  readonly tokenizerConfigFile: string | null;
  /** Tokens that the model can read at once, special ones included. */
  readonly maxTokens: number;
  /** Longest row of raw tokens: positions of the network; `maxTokens` where the package does not declare them. */
  readonly maxPositions: number;
  /** Fills `input_ids` where the mask is 0. */
  readonly padTokenId: number;
}

const DEFAULT_MAX_TOKENS = 512;
const DEFAULT_PAD_TOKEN = '[PAD]';

const specialTokensSchema = z.looseObject({ pad_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish() });
const tokenizerConfigSchema = specialTokensSchema.extend({ model_max_length: z.number().positive().nullish() });

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.number().int().nonnegative(), content: z.string() })).default([]),
});

/** sentence-transformers' own limit, which is often below the network's. */
const sentenceConfigSchema = z.looseObject({ max_seq_length: z.number().int().positive().nullish() });

/** Count positions from the padding token on: two places fewer than `max_position_embeddings` says are for text. */
const POSITIONS_FROM_PADDING: ReadonlySet<string> = new Set([
  'roberta',
  'xlm-roberta',
  'xlm-roberta-xl',
  'camembert',
  'mpnet',
  'data2vec-text',
]);

/** @throws model.package_invalid when `tokenizer.json` is missing, or one of the files is not valid */
export async function readTextPreparation(files: PackageFiles, config: ModelConfig): Promise<TextPreparation> {
  const tokenizerFile = pathOf(files, 'tokenizer.json');
  const tokenizerConfig = await readJson(files, 'tokenizer_config.json', tokenizerConfigSchema);
  const sentenceConfig = await readJson(files, 'sentence_bert_config.json', sentenceConfigSchema);
  const padTokenId = config.pad_token_id ?? (await padTokenOf(files, tokenizerConfig?.pad_token));
  const positions = config.max_position_embeddings ?? Infinity;
  // Exports without a limit write 1e30; then the positions of the network are the limit.
  const maxPositions = POSITIONS_FROM_PADDING.has(config.model_type ?? '') ? positions - padTokenId - 1 : positions;
  const maxTokens = bounded(
    Math.min(tokenizerConfig?.model_max_length ?? Infinity, sentenceConfig?.max_seq_length ?? Infinity, maxPositions),
    DEFAULT_MAX_TOKENS,
  );
  return {
    tokenizerFile,
    tokenizerConfigFile: tokenizerConfig === null ? null : pathOf(files, 'tokenizer_config.json'),
    maxTokens,
    maxPositions: bounded(maxPositions, maxTokens),
    padTokenId,
  };
}

/** A number of tokens from a file, or `fallback` where it is out of range. */
function bounded(tokens: number, fallback: number): number {
  return tokens >= 1 && tokens < 1e6 ? Math.floor(tokens) : fallback;
}

/** The id of the padding token by its name; 0 when there is none. */
async function padTokenOf(files: PackageFiles, named: z.infer<typeof specialTokensSchema>['pad_token']): Promise<number> {
  const tokenizer = await readJson(files, 'tokenizer.json', tokenizerSchema);
  const token = named ?? (await readJson(files, 'special_tokens_map.json', specialTokensSchema))?.pad_token ?? DEFAULT_PAD_TOKEN;
  const name = typeof token === 'string' ? token : token.content;
  return tokenizer?.added_tokens.find(({ content }) => content === name)?.id ?? 0;
}

import type { WeirFile } from '@weir/contracts';
import { z } from 'zod';
import type { ModelPackage } from '../../model-package/model-package.ts';
import { invalidFile, readJson } from '../../model-package/package-files.ts';
import type { OutputNumbers } from '../prepared-run.ts';

/** How the vectors of a text's tokens become the one of the text. */
export interface EmbeddingRule {
  /** `none`: the model does it itself. */
  readonly pooling: NonNullable<WeirFile['embedding']>['pooling'];
  /** The vector is made as long as 1. */
  readonly isNormalised: boolean;
}

/** sentence-transformers' list of what happens to a text, one after the other. */
const modulesSchema = z.array(z.looseObject({ path: z.string(), type: z.string() }));

const poolingSchema = z.looseObject({
  pooling_mode_cls_token: z.boolean().default(false),
  pooling_mode_mean_tokens: z.boolean().default(false),
  pooling_mode_lasttoken: z.boolean().default(false),
  pooling_mode_max_tokens: z.boolean().default(false),
  pooling_mode_mean_sqrt_len_tokens: z.boolean().default(false),
  pooling_mode_weightedmean_tokens: z.boolean().default(false),
});

/**
 * The rule of a package: `weir.json`, else the files of sentence-transformers, else the mean of the tokens, normalised.
 *
 * @throws model.package_invalid when the package asks for a step that is not done here
 */
export async function readEmbeddingRule(modelPackage: ModelPackage): Promise<EmbeddingRule> {
  const { embedding } = modelPackage.weir;
  if (embedding !== undefined) return { pooling: embedding.pooling, isNormalised: embedding.normalise };
  const modules = await readJson(modelPackage, 'modules.json', modulesSchema);
  const kinds = modules?.map(({ type }) => type.split('.').at(-1) ?? type) ?? [];
  const unknown = kinds.find((kind) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  if (unknown !== undefined) throw invalidFile('modules.json', `asks for ${JSON.stringify(unknown.slice(0, 80))}, which is not done here`);
  const config = await readJson(modelPackage, '1_Pooling/config.json', poolingSchema);
  return { pooling: config === null ? 'mean' : poolingOf(config), isNormalised: modules === null || kinds.includes('Normalize') };
}

function poolingOf(config: z.infer<typeof poolingSchema>): EmbeddingRule['pooling'] {
  const asked = Object.keys(poolingSchema.shape).filter((mode) => config[mode] === true);
  if (asked.length > 1)
    throw invalidFile('1_Pooling/config.json', `asks for several poolings, which is not done here: ${asked.join(', ')}`);
  switch (asked[0]) {
    case 'pooling_mode_cls_token':
      return 'cls';
    case 'pooling_mode_mean_tokens':
      return 'mean';
    case 'pooling_mode_lasttoken':
      return 'last-token';
    default:
      return 'none';
  }
}

/**
 * The vector of a text.
 *
 * @param tokens `[1, tokens, size]`, all of them the text's: what was padded is cut off
 */
export function embeddingOf({ dims: [, tokens = 0, size = 0], data }: OutputNumbers, pooling: EmbeddingRule['pooling']): Float64Array {
  const vector = new Float64Array(size);
  const add = (token: number, share: number): void => {
    for (let index = 0; index < size; index++) vector[index] = (vector[index] ?? 0) + (data[token * size + index] ?? 0) * share;
  };
  if (pooling === 'cls') add(0, 1);
  else if (pooling === 'last-token') add(tokens - 1, 1);
  else for (let token = 0; token < tokens; token++) add(token, 1 / tokens);
  return vector;
}

/** The vector with the length 1; of zeros as it is. */
export function normalised(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}

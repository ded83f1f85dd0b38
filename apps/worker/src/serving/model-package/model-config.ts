import { z } from 'zod';
import { invalidFile, readJson, type PackageFiles } from './package-files.ts';

const modelConfigSchema = z.looseObject({
  id2label: z.record(z.string(), z.string().max(200)).optional(),
  problem_type: z.string().nullish(),
  model_type: z.string().nullish(),
  pad_token_id: z.number().int().nonnegative().nullish(),
  max_position_embeddings: z.number().int().positive().nullish(),
});

/** `config.json` of Hugging Face's layout, as far as it matters here. */
export type ModelConfig = z.infer<typeof modelConfigSchema>;

/** @throws model.package_invalid naming the field that is wrong */
export async function readModelConfig(files: PackageFiles): Promise<ModelConfig> {
  return (await readJson(files, 'config.json', modelConfigSchema)) ?? {};
}

const MAX_LABELS = 1_000_000;

/**
 * The name of each class in the model's order; empty when the configuration names none.
 *
 * @throws model.package_invalid when `id2label` has keys that are no indices
 */
export function labelsOf({ id2label = {} }: ModelConfig): string[] {
  const labels: string[] = [];
  for (const [index, label] of Object.entries(id2label)) {
    const position = Number(index);
    if (!Number.isInteger(position) || position < 0 || position > MAX_LABELS)
      throw invalidFile('config.json', `id2label: ${JSON.stringify(index.slice(0, 20))} is not an index`);
    labels[position] = label;
  }
  return Array.from(labels, (label, index) => label ?? `LABEL_${index}`);
}

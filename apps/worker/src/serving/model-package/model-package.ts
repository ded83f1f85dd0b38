import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackageFile, Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { z } from 'zod';
import { assertSafePackagePath } from './package-path.ts';

/** How pictures become numbers, from `preprocessor_config.json` and `weir.json`. */
export interface ImagePreparation {
  readonly heightPixels: number;
  readonly widthPixels: number;
  /** Scale until the shorter edge has this length, then cut the middle out; null: scale both edges to the size, as they are. */
  readonly shortestEdgePixels: number | null;
  readonly kernel: 'nearest' | 'lanczos3' | 'linear' | 'cubic';
  readonly channels: 1 | 3;
  /** Each value 0–255 is multiplied by this. */
  readonly rescaleFactor: number;
  /** Then the mean is taken off and the rest divided by the deviation, per channel. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  /** The ground that the model knows; a picture with the other one is inverted. Null: leave it. */
  readonly background: 'dark' | 'light' | null;
}

/** How sentences become numbers, from `tokenizer.json`, `tokenizer_config.json` and `config.json`. */
export interface TextPreparation {
  readonly tokenizerFile: string;
  readonly tokenizerConfigFile: string;
  /** Tokens that the model can read at once, special ones included. */
  readonly maxTokens: number;
  readonly padTokenId: number;
}

/** What a worker needs to know of a package to run it. */
export interface ModelPackage {
  readonly task: Task;
  /** Path of the ONNX file. */
  readonly modelFile: string;
  /** Name of each class, in the model's order; empty when the package names none. */
  readonly labels: readonly string[];
  /** One class wins (softmax), or each stands for itself (sigmoid). */
  readonly isMultiLabel: boolean;
  readonly image: ImagePreparation | null;
  readonly text: TextPreparation | null;
}

const MODEL_FILES = ['onnx/model.onnx', 'model.onnx', 'onnx/model_quantized.onnx', 'onnx/model_fp16.onnx'];
const MAX_CONFIG_BYTES = 16 * 1_048_576;
const DEFAULT_MAX_TOKENS = 512;

const configSchema = z.looseObject({
  id2label: z.record(z.string(), z.string().max(200)).optional(),
  problem_type: z.string().nullish(),
  pad_token_id: z.number().int().nonnegative().nullish(),
  max_position_embeddings: z.number().int().positive().nullish(),
});

const imageSize = z.union([
  z.number().int().min(1).max(4096),
  z.object({ height: z.number().int().min(1).max(4096), width: z.number().int().min(1).max(4096) }),
  z.object({ shortest_edge: z.number().int().min(1).max(4096) }),
]);

const preprocessorSchema = z.looseObject({
  size: imageSize,
  crop_size: imageSize.optional(),
  do_center_crop: z.boolean().default(false),
  resample: z.number().int().default(2),
  do_rescale: z.boolean().default(true),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  do_normalize: z.boolean().default(false),
  image_mean: z.array(z.number()).min(1).max(3).optional(),
  image_std: z.array(z.number().positive()).min(1).max(3).optional(),
});

const tokenizerConfigSchema = z.looseObject({ model_max_length: z.number().positive().nullish() });

const weirSchema = z.looseObject({
  /** The ONNX file to run, where there are several. */
  model: z.string().optional(),
  image: z.looseObject({ colour: z.enum(['grey', 'rgb']).optional(), background: z.enum(['dark', 'light']).optional() }).optional(),
});

/** PIL's numbers for how to scale, as `resample` of a preprocessor has them. */
const KERNELS: Readonly<Record<number, ImagePreparation['kernel']>> = { 0: 'nearest', 1: 'lanczos3', 2: 'linear', 3: 'cubic' };

/**
 * Reads the settings of a package in Hugging Face layout.
 *
 * @throws model.package_invalid naming the file and field that is wrong or missing
 */
export async function readModelPackage(directory: string, files: readonly PackageFile[], task: Task): Promise<ModelPackage> {
  const paths = new Map(files.map((file) => [file.path, file]));
  const read = async <T>(path: string, schema: z.ZodType<T>): Promise<T | null> => {
    const file = paths.get(path);
    return file === undefined ? null : parseFile(directory, file, schema);
  };
  const weir = (await read('weir.json', weirSchema)) ?? {};
  const config = (await read('config.json', configSchema)) ?? {};
  if (weir.model !== undefined) assertSafePackagePath(weir.model);
  const modelFile = (weir.model === undefined ? MODEL_FILES : [weir.model]).find((path) => paths.has(path));
  if (modelFile === undefined) throw invalid(weir.model ?? 'onnx/model.onnx', 'is missing');
  return {
    task,
    modelFile: join(directory, modelFile),
    labels: labelsOf(config.id2label ?? {}),
    isMultiLabel: config.problem_type === 'multi_label_classification',
    image:
      task === 'image-classification'
        ? imagePreparation(
            await required(read('preprocessor_config.json', preprocessorSchema), 'preprocessor_config.json'),
            weir.image ?? {},
          )
        : null,
    text: task === 'text-classification' ? await textPreparation() : null,
  };

  async function textPreparation(): Promise<TextPreparation> {
    const tokenizerConfig = await required(read('tokenizer_config.json', tokenizerConfigSchema), 'tokenizer_config.json');
    if (!paths.has('tokenizer.json')) throw invalid('tokenizer.json', 'is missing');
    // Exports without a limit write 1e30; then the positions of the network are the limit.
    const maxTokens = Math.min(tokenizerConfig.model_max_length ?? Infinity, config.max_position_embeddings ?? Infinity);
    return {
      tokenizerFile: join(directory, 'tokenizer.json'),
      tokenizerConfigFile: join(directory, 'tokenizer_config.json'),
      maxTokens: maxTokens < 1e6 ? maxTokens : DEFAULT_MAX_TOKENS,
      padTokenId: config.pad_token_id ?? 0,
    };
  }
}

async function parseFile<T>(directory: string, file: PackageFile, schema: z.ZodType<T>): Promise<T> {
  if (file.sizeBytes > MAX_CONFIG_BYTES) throw invalid(file.path, `is larger than ${MAX_CONFIG_BYTES} bytes`);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(join(directory, file.path), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid(file.path, 'is not JSON');
    throw error;
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(file.path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`);
}

function invalid(path: string, problem: string): AppError {
  return new AppError('model.package_invalid', { field: path, message: `${path} of the package ${problem}` });
}

async function required<T>(reading: Promise<T | null>, path: string): Promise<T> {
  const content = await reading;
  if (content === null) throw invalid(path, 'is missing');
  return content;
}

function labelsOf(id2label: Readonly<Record<string, string>>): string[] {
  const labels: string[] = [];
  for (const [index, label] of Object.entries(id2label)) {
    const position = Number(index);
    if (!Number.isInteger(position) || position < 0 || position > 1_000_000)
      throw invalid('config.json', `id2label: ${JSON.stringify(index.slice(0, 20))} is not an index`);
    labels[position] = label;
  }
  return Array.from(labels, (label, index) => label ?? `LABEL_${index}`);
}

function imagePreparation(
  config: z.infer<typeof preprocessorSchema>,
  weir: { colour?: 'grey' | 'rgb' | undefined; background?: 'dark' | 'light' | undefined },
): ImagePreparation {
  const size = config.do_center_crop && config.crop_size !== undefined ? config.crop_size : config.size;
  const [heightPixels, widthPixels] =
    typeof size === 'number' ? [size, size] : 'height' in size ? [size.height, size.width] : [size.shortest_edge, size.shortest_edge];
  const channels = weir.colour === 'grey' ? 1 : 3;
  const perChannel = (values: readonly number[] | undefined, byDefault: number): number[] =>
    Array.from({ length: channels }, (_, channel) => (config.do_normalize ? (values?.[channel] ?? values?.[0] ?? byDefault) : byDefault));
  return {
    heightPixels,
    widthPixels,
    shortestEdgePixels:
      typeof config.size === 'object' && 'shortest_edge' in config.size
        ? Math.max(config.size.shortest_edge, heightPixels, widthPixels)
        : null,
    kernel: KERNELS[config.resample] ?? 'linear',
    channels,
    rescaleFactor: config.do_rescale ? config.rescale_factor : 1,
    mean: perChannel(config.image_mean, 0),
    deviation: perChannel(config.image_std, 1),
    background: weir.background ?? null,
  };
}

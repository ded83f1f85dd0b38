import { z } from 'zod';

/** What a model does, in Hugging Face's terms where it has one. */
export const taskSchema = z.enum([
  'image-classification',
  'object-detection',
  'image-to-text',
  'text-classification',
  'token-classification',
  'feature-extraction',
  'tabular-classification',
  'tabular-regression',
  'recommendation',
  'image-generation',
  'voice-activity-detection',
  'tensors',
]);
/** What a model does, in Hugging Face's terms where it has one. `tensors`: raw tensors in and out. */
export type Task = z.infer<typeof taskSchema>;

/** Path of a file inside a package, `/` between parts. */
export const packagePath = z.string().regex(/^(?!\/)(?!.*\.\.)[\w.\-/]{1,200}$/, 'must be a path inside the package');

const tensorName = z.string().min(1).max(512);
const edge = z.number().int().min(1).max(4096);

/** How pictures are read, beside what `preprocessor_config.json` says. */
const imageSection = z.object({
  colour: z.enum(['grey', 'rgb', 'bgr']).optional(),
  /** The ground that the model knows; a picture with the other one is inverted. */
  background: z.enum(['dark', 'light']).optional(),
  /** Order of the axes of the model's input. */
  layout: z.enum(['nchw', 'nhwc']).optional(),
});

const featureSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('number'),
    name: z.string().min(1).max(200),
    /** The model is given (value − mean) / deviation. */
    mean: z.number().default(0),
    deviation: z.number().positive().default(1),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    /** Stands in when the record lacks it; without one it is required. */
    default: z.number().optional(),
  }),
  z.object({
    kind: z.literal('category'),
    name: z.string().min(1).max(200),
    values: z.array(z.string().max(200)).min(1).max(10_000),
    /** `index`: position in `values`; `one-hot`: one number for each value. */
    encoding: z.enum(['index', 'one-hot']).default('one-hot'),
    default: z.string().max(200).optional(),
  }),
]);
/** One column of a tabular model, in the order in which the model takes them. */
export type Feature = z.infer<typeof featureSchema>;

const stateSchema = z.object({
  /** The input that takes the state, and the output that gives the next one. */
  input: tensorName,
  output: tensorName,
  datatype: z.enum(['FP32', 'FP16', 'FP64', 'INT64', 'INT32']).default('FP32'),
  /** Shape at the start, when every number is 0; -1 stands for the batch. */
  shape: z.array(z.number().int().min(-1)).min(1).max(8),
});

const metricSchema = z.looseObject({
  name: z.string().min(1).max(100),
  value: z.number(),
  dataset: z.string().max(200).optional(),
  split: z.string().max(200).optional(),
  n: z.number().int().nonnegative().optional(),
});

/** An input to try: exactly one of the fields, as `ModelInput` of the graph takes them, with files instead of base64. */
const exampleInputSchema = z.looseObject({
  text: z.string().max(10_000).optional(),
  imageFile: packagePath.optional(),
  audioFile: packagePath.optional(),
  record: z.record(z.string().max(200), z.unknown()).optional(),
  user: z.string().max(200).optional(),
  /** Within what the graph's `Int` holds. */
  seed: z.number().int().min(0).max(2_147_483_647).optional(),
  /** An Open Inference Protocol request in JSON, for raw tensors. */
  requestFile: packagePath.optional(),
});

const exampleSchema = z.looseObject({
  input: exampleInputSchema,
  expected: z.looseObject({ label: z.string().max(200).optional() }).optional(),
});

/** Text of one line that people read. */
const line = (max: number): z.ZodString => z.string().trim().min(1).max(max);

/** The file `weir.json` of a package: what the files in Hugging Face's layout do not say. */
export const weirFileSchema = z.looseObject({
  task: taskSchema.optional(),
  /** The network to run, where there are several. */
  model: packagePath.optional(),
  displayName: line(200).optional(),
  description: line(4_000).optional(),
  licence: line(100).optional(),
  tags: z.array(line(50)).max(20).optional(),
  metrics: z.array(metricSchema).max(50).optional(),
  examples: z.array(exampleSchema).max(20).optional(),

  image: imageSection.optional(),
  /** Of `feature-extraction`; `1_Pooling/config.json` and `modules.json` of sentence-transformers say the same. */
  embedding: z
    .object({ pooling: z.enum(['mean', 'cls', 'last-token', 'none']).default('mean'), normalise: z.boolean().default(true) })
    .optional(),
  /**
   * Of `token-classification`, how tokens become entities: `simple` joins tokens of one kind; `first` lets the first token of
   * a word speak for all of it, so that no word is divided.
   */
  entities: z.object({ aggregation: z.enum(['simple', 'first']).default('simple') }).optional(),
  tabular: z
    .object({
      features: z.array(featureSchema).min(1).max(10_000),
      /** A regression's output y means y · deviation + mean of this. */
      target: z.object({ name: z.string().max(200), mean: z.number().default(0), deviation: z.number().positive().default(1) }).optional(),
    })
    .optional(),
  recommendation: z
    .object({
      /** JSON arrays of ids; a place in the list is the number that the model knows. Items may be `{ id, title }`. */
      users: packagePath,
      items: packagePath,
      /** JSON object from a user to the positions of items that are not to be recommended to them again. */
      seen: packagePath.optional(),
    })
    .optional(),
  generation: z
    .object({
      /** Numbers that the decoder takes; drawn from a normal distribution when the caller gives a seed. */
      latentSize: z.number().int().min(1).max(65_536),
      /** What the decoder's numbers mean: the least and the greatest brightness. */
      range: z.tuple([z.number(), z.number()]).default([0, 1]),
    })
    .optional(),
  detection: z.object({ threshold: z.number().min(0).max(1).default(0.5), overlap: z.number().min(0).max(1).default(0.5) }).optional(),
  /** Of `image-to-text`: two networks and the characters that the second one knows, one a line. */
  reading: z
    .object({ detector: packagePath, recogniser: packagePath, characters: packagePath, longestEdgePixels: edge.default(960) })
    .optional(),
  audio: z
    .object({
      sampleRateHz: z.number().int().min(1_000).max(192_000),
      /** Samples of one frame, and how many of the frame before are put in front of it. */
      frameSamples: z.number().int().min(1).max(1_000_000),
      contextSamples: z.number().int().min(0).max(1_000_000).default(0),
      /** The input that takes the sample rate as an INT64 scalar, where the network asks for it. */
      sampleRateInput: tensorName.optional(),
      threshold: z.number().min(0).max(1).default(0.5),
    })
    .optional(),
  /** Recurrent state: kept for a sequence by the worker, or passed by the caller. */
  state: z.array(stateSchema).min(1).max(16).optional(),
  runtime: z
    .object({
      /** Threads that hold the model, each with its own weights. */
      instances: z.number().int().min(1).max(64).optional(),
      /** False: every call runs by itself. True: calls share runs although the answer of one may move a little with its neighbours'. */
      batching: z.boolean().optional(),
      maxBatchSize: z.number().int().min(1).max(100_000).optional(),
      /** Longest run in milliseconds; at most what the operator allows. */
      runLimitMs: z.number().int().min(1).optional(),
      /** Execution providers in order of preference; the worker has to offer the first. */
      accelerator: z.enum(['cpu', 'cuda', 'tensorrt', 'webgpu']).optional(),
      /** Memory that the loaded model needs, where it is more than its files tell. */
      memoryBytes: z.number().int().nonnegative().optional(),
    })
    .optional(),
});
export type WeirFile = z.infer<typeof weirFileSchema>;

/**
 * Where the network itself may stand, when `weir.json` does not say: the first of these that the package has. Whole precision first,
 * then what loses least of it.
 */
export const MODEL_FILES = [
  'onnx/model.onnx',
  'model.onnx',
  'onnx/model_quantized.onnx',
  'onnx/model_fp16.onnx',
  'onnx/model_int8.onnx',
  'onnx/model_uint8.onnx',
  'onnx/model_q4.onnx',
  'onnx/model_q4f16.onnx',
  'onnx/model_bnb4.onnx',
] as const;

/** The network of a package that does not name it: one of `MODEL_FILES`, else the only one that there is; null when neither tells. */
export function defaultModelFile(paths: Iterable<string>): string | null {
  const networks = new Set([...paths].filter((path) => path.endsWith('.onnx')));
  const [only] = networks;
  return MODEL_FILES.find((path) => networks.has(path)) ?? (networks.size === 1 ? (only ?? null) : null);
}

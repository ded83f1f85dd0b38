import type { TensorMetadata } from './types.ts';

// What a worker takes and gives where it prepares inputs and reads outputs itself, by the task of the model. Binary
// contents (pictures, sound) are base64 in JSON, and bytes as they are in the binary extension. Where items have
// different numbers of results, rows are filled up to the longest and `count` says how many of each are meant.

export const TEXT_INPUT = 'text';
export const IMAGE_INPUT = 'image';
export const AUDIO_INPUT = 'audio';
/** A JSON object of features. */
export const RECORD_INPUT = 'record';
export const USER_INPUT = 'user';
export const LATENT_INPUT = 'latent';
/** A number from which a latent is drawn; the same number gives the same picture. */
export const SEED_INPUT = 'seed';

export const LABEL_OUTPUT = 'label';
export const SCORE_OUTPUT = 'score';
export const COUNT_OUTPUT = 'count';
/** Left, top, right and bottom edge in pixels of the upright picture. */
export const BOX_OUTPUT = 'box';
/** Four corners `[x, y]` in pixels, clockwise from the top left one of the text. */
export const POLYGON_OUTPUT = 'polygon';
export const TEXT_OUTPUT = 'text';
/** First and last (exclusive) UTF-16 code unit in the text. */
export const START_OUTPUT = 'start';
export const END_OUTPUT = 'end';
export const EMBEDDING_OUTPUT = 'embedding';
export const VALUE_OUTPUT = 'value';
export const ITEM_OUTPUT = 'item';
/** A PNG file. */
export const IMAGE_OUTPUT = 'image';
/** Of speech, one for each frame. */
export const PROBABILITY_OUTPUT = 'probability';

/** The tensors of a task whose inputs a worker prepares. -1: as many as the caller sends, or the model finds. */
export interface ProcessedSignature {
  /** The caller sends exactly one of these. */
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** Numbers that `parameters` of the request may hold. */
  readonly parameters: readonly string[];
}

const tensor = (name: string, datatype: TensorMetadata['datatype'], ...shape: number[]): TensorMetadata => ({ name, datatype, shape });
const LABELS = [tensor(LABEL_OUTPUT, 'BYTES', -1, -1), tensor(SCORE_OUTPUT, 'FP32', -1, -1)];
const COUNT = tensor(COUNT_OUTPUT, 'INT32', -1);

/** By task, in Hugging Face's terms. A task that is not here (`tensors`) takes raw tensors only. */
export const PROCESSED_SIGNATURES: Readonly<Record<string, ProcessedSignature | undefined>> = {
  'image-classification': { inputs: [tensor(IMAGE_INPUT, 'BYTES', -1)], outputs: LABELS, parameters: ['top_k'] },
  'text-classification': { inputs: [tensor(TEXT_INPUT, 'BYTES', -1)], outputs: LABELS, parameters: ['top_k'] },
  'tabular-classification': { inputs: [tensor(RECORD_INPUT, 'BYTES', -1)], outputs: LABELS, parameters: ['top_k'] },
  'tabular-regression': { inputs: [tensor(RECORD_INPUT, 'BYTES', -1)], outputs: [tensor(VALUE_OUTPUT, 'FP64', -1)], parameters: [] },
  'object-detection': {
    inputs: [tensor(IMAGE_INPUT, 'BYTES', -1)],
    outputs: [...LABELS, tensor(BOX_OUTPUT, 'FP32', -1, -1, 4), COUNT],
    parameters: ['threshold'],
  },
  'image-to-text': {
    inputs: [tensor(IMAGE_INPUT, 'BYTES', -1)],
    outputs: [
      tensor(TEXT_OUTPUT, 'BYTES', -1, -1),
      tensor(SCORE_OUTPUT, 'FP32', -1, -1),
      tensor(POLYGON_OUTPUT, 'FP32', -1, -1, 4, 2),
      COUNT,
    ],
    parameters: ['threshold'],
  },
  'token-classification': {
    inputs: [tensor(TEXT_INPUT, 'BYTES', -1)],
    outputs: [...LABELS, tensor(START_OUTPUT, 'INT32', -1, -1), tensor(END_OUTPUT, 'INT32', -1, -1), COUNT],
    parameters: [],
  },
  'feature-extraction': {
    inputs: [tensor(TEXT_INPUT, 'BYTES', -1)],
    outputs: [tensor(EMBEDDING_OUTPUT, 'FP32', -1, -1)],
    parameters: [],
  },
  recommendation: {
    inputs: [tensor(USER_INPUT, 'BYTES', -1)],
    outputs: [tensor(ITEM_OUTPUT, 'BYTES', -1, -1), tensor(SCORE_OUTPUT, 'FP32', -1, -1), COUNT],
    parameters: ['top_k'],
  },
  'image-generation': {
    inputs: [tensor(SEED_INPUT, 'INT64', -1), tensor(LATENT_INPUT, 'FP32', -1, -1)],
    outputs: [tensor(IMAGE_OUTPUT, 'BYTES', -1)],
    parameters: [],
  },
  'voice-activity-detection': {
    // Start and end of each stretch of speech in seconds.
    inputs: [tensor(AUDIO_INPUT, 'BYTES', 1)],
    outputs: [tensor(PROBABILITY_OUTPUT, 'FP32', -1), tensor(START_OUTPUT, 'FP64', -1), tensor(END_OUTPUT, 'FP64', -1)],
    parameters: ['threshold', 'sequence_id', 'sequence_start', 'sequence_end'],
  },
};

import type { Task } from '@weir/contracts';
import { AppError, assertNever } from '@weir/kernel';
import {
  BOX_OUTPUT,
  COUNT_OUTPUT,
  decodeTensor,
  EMBEDDING_OUTPUT,
  encodeTensor,
  END_OUTPUT,
  IMAGE_OUTPUT,
  ITEM_OUTPUT,
  LABEL_OUTPUT,
  POLYGON_OUTPUT,
  PROBABILITY_OUTPUT,
  readResponse,
  SCORE_OUTPUT,
  START_OUTPUT,
  TEXT_OUTPUT,
  VALUE_OUTPUT,
  type EncodedMessage,
  type EncodedTensor,
} from '@weir/open-inference';
import { fieldOf, isList, itemsOf } from './model-input.ts';
import type { ModelInput } from './model-input.types.ts';
import type {
  Classification,
  Embedding,
  GeneratedImage,
  ModelOutputValue,
  ObjectDetection,
  Recommendation,
  RecognisedText,
  Regression,
  Tensor,
  TokenClassification,
} from './model-output.types.ts';

/**
 * What a worker answered, in the type of the task: one output for one input, a list for a list, raw tensors for raw
 * tensors. Everything in it is checked: a worker may be another's, and a model may give what is no number.
 *
 * @throws model.failed when it is not what a model of the task answers to this input
 */
export function outputOf(input: ModelInput, answer: EncodedMessage, task: Task): ModelOutputValue {
  const { outputs } = readResponse(answer.body, answer.headers);
  if (fieldOf(input) === 'tensors') return { __typename: 'Tensors', tensors: outputs.map(rawTensor) };
  const tensors = new AnswerTensors(outputs);
  const items = itemsOf(input);
  const isMany = isList(input);
  switch (task) {
    case 'image-classification':
    case 'text-classification':
    case 'tabular-classification': {
      const all = classifications(tensors, items.length);
      return isMany ? { __typename: 'Classifications', items: all } : { __typename: 'Classification', ...only(all) };
    }
    case 'object-detection': {
      const all = objectDetections(tensors, items.length);
      return isMany ? { __typename: 'ObjectDetections', items: all } : { __typename: 'ObjectDetection', ...only(all) };
    }
    case 'image-to-text': {
      const all = recognisedTexts(tensors, items.length);
      return isMany ? { __typename: 'RecognisedTexts', items: all } : { __typename: 'RecognisedText', ...only(all) };
    }
    case 'token-classification': {
      const all = tokenClassifications(tensors, items.map(String));
      return isMany ? { __typename: 'TokenClassifications', items: all } : { __typename: 'TokenClassification', ...only(all) };
    }
    case 'feature-extraction': {
      const all = embeddings(tensors, items.length);
      return isMany ? { __typename: 'Embeddings', items: all } : { __typename: 'Embedding', ...only(all) };
    }
    case 'tabular-regression': {
      const all = regressions(tensors, items.length);
      return isMany ? { __typename: 'Regressions', items: all } : { __typename: 'Regression', ...only(all) };
    }
    case 'recommendation': {
      const all = recommendations(tensors, items.length);
      return isMany ? { __typename: 'Recommendations', items: all } : { __typename: 'Recommendation', ...only(all) };
    }
    case 'image-generation': {
      const all = generatedImages(tensors, items.length);
      return isMany ? { __typename: 'GeneratedImages', items: all } : { __typename: 'GeneratedImage', ...only(all) };
    }
    case 'voice-activity-detection':
      return { __typename: 'SpeechActivity', ...speechActivity(tensors) };
    case 'tensors':
      throw failed('a model of raw tensors was given what has to be prepared');
    default:
      return assertNever(task);
  }
}

function classifications(tensors: AnswerTensors, items: number): Classification[] {
  const labels = tensors.texts(LABEL_OUTPUT, items, ANY);
  const scores = tensors.numbers(SCORE_OUTPUT, items, labels.size);
  return rows(items, labels.size, (at) => ({ label: textAt(labels.elements, at), score: numberAt(scores.elements, at) })).map((row) => ({
    labels: row,
  }));
}

function objectDetections(tensors: AnswerTensors, items: number): ObjectDetection[] {
  const labels = tensors.texts(LABEL_OUTPUT, items, ANY);
  const scores = tensors.numbers(SCORE_OUTPUT, items, labels.size);
  const boxes = tensors.numbers(BOX_OUTPUT, items, labels.size, 4);
  const counts = tensors.counts(items, labels.size);
  return rows(items, labels.size, (at) => ({
    label: textAt(labels.elements, at),
    score: numberAt(scores.elements, at),
    box: {
      left: numberAt(boxes.elements, at * 4),
      top: numberAt(boxes.elements, at * 4 + 1),
      right: numberAt(boxes.elements, at * 4 + 2),
      bottom: numberAt(boxes.elements, at * 4 + 3),
    },
  })).map((row, item) => ({ objects: row.slice(0, counts[item]) }));
}

const CORNERS = [0, 1, 2, 3] as const;

function recognisedTexts(tensors: AnswerTensors, items: number): RecognisedText[] {
  const texts = tensors.texts(TEXT_OUTPUT, items, ANY);
  const scores = tensors.numbers(SCORE_OUTPUT, items, texts.size);
  const polygons = tensors.numbers(POLYGON_OUTPUT, items, texts.size, 4, 2);
  const counts = tensors.counts(items, texts.size);
  return rows(items, texts.size, (at) => ({
    text: textAt(texts.elements, at),
    score: numberAt(scores.elements, at),
    polygon: CORNERS.map((corner) => ({
      x: numberAt(polygons.elements, (at * 4 + corner) * 2),
      y: numberAt(polygons.elements, (at * 4 + corner) * 2 + 1),
    })),
  })).map((row, item) => ({ lines: row.slice(0, counts[item]) }));
}

function tokenClassifications(tensors: AnswerTensors, sent: readonly string[]): TokenClassification[] {
  const labels = tensors.texts(LABEL_OUTPUT, sent.length, ANY);
  const scores = tensors.numbers(SCORE_OUTPUT, sent.length, labels.size);
  const starts = tensors.numbers(START_OUTPUT, sent.length, labels.size);
  const ends = tensors.numbers(END_OUTPUT, sent.length, labels.size);
  const counts = tensors.counts(sent.length, labels.size);
  return sent.map((text, item) => ({
    entities: Array.from({ length: counts[item] ?? 0 }, (_, rank) => {
      const at = item * labels.size + rank;
      const [start, end] = [numberAt(starts.elements, at), numberAt(ends.elements, at)];
      if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start || end > text.length)
        throw failed(`an entity from ${start} to ${end} of a text of ${text.length}`);
      return { label: textAt(labels.elements, at), score: numberAt(scores.elements, at), text: text.slice(start, end), start, end };
    }),
  }));
}

function embeddings(tensors: AnswerTensors, items: number): Embedding[] {
  const vectors = tensors.numbers(EMBEDDING_OUTPUT, items, ANY);
  return rows(items, vectors.size, (at) => numberAt(vectors.elements, at)).map((vector) => ({ vector }));
}

function regressions(tensors: AnswerTensors, items: number): Regression[] {
  const values = tensors.numbers(VALUE_OUTPUT, items);
  return Array.from(values.elements, (value) => ({ value }));
}

function recommendations(tensors: AnswerTensors, items: number): Recommendation[] {
  const found = tensors.texts(ITEM_OUTPUT, items, ANY);
  const scores = tensors.numbers(SCORE_OUTPUT, items, found.size);
  const counts = tensors.counts(items, found.size);
  return rows(items, found.size, (at) => ({ item: textAt(found.elements, at), score: numberAt(scores.elements, at) })).map((row, item) => ({
    recommended: row.slice(0, counts[item]),
  }));
}

const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

function generatedImages(tensors: AnswerTensors, items: number): GeneratedImage[] {
  return tensors.files(IMAGE_OUTPUT, items).map((file) => {
    if (!PNG_SIGNATURE.equals(file.subarray(0, PNG_SIGNATURE.length))) throw failed('a picture that is no PNG file');
    return { base64: file.toString('base64') };
  });
}

function speechActivity(tensors: AnswerTensors): Pick<Extract<ModelOutputValue, { __typename: 'SpeechActivity' }>, 'frames' | 'segments'> {
  const frames = tensors.numbers(PROBABILITY_OUTPUT, ANY);
  const starts = tensors.numbers(START_OUTPUT, ANY);
  const ends = tensors.numbers(END_OUTPUT, starts.size);
  return {
    frames: Array.from(frames.elements),
    segments: Array.from(starts.elements, (startSeconds, index) => ({ startSeconds, endSeconds: numberAt(ends.elements, index) })),
  };
}

/** Calls `make` with the position of each element of `items` rows of `size`. */
function rows<T>(items: number, size: number, make: (at: number) => T): T[][] {
  return Array.from({ length: items }, (_, item) => Array.from({ length: size }, (__, rank) => make(item * size + rank)));
}

function only<T>(items: readonly T[]): Pick<T, keyof T> {
  const [first] = items;
  if (first === undefined) throw failed('no item for the one that was sent');
  return first;
}

function textAt(elements: readonly string[], at: number): string {
  return elements[at] ?? '';
}

function numberAt(elements: ArrayLike<number>, at: number): number {
  return elements[at] ?? 0;
}

function failed(reason: string): AppError {
  return new AppError('model.failed', { cause: new Error(`the worker answered ${reason}`) });
}

/** A size that the answer chooses. */
const ANY = null;

/** An output, its elements checked: as many as its shape says, all of them what their datatype says. */
interface Checked<Elements> {
  readonly elements: Elements;
  /** Size of the one dimension that was not known; 1 when all were. */
  readonly size: number;
}

/** The outputs of an answer by name, and by what they have to be. */
class AnswerTensors {
  readonly #outputs: readonly EncodedTensor[];

  constructor(outputs: readonly EncodedTensor[]) {
    this.#outputs = outputs;
  }

  /** @throws model.failed it is not there, has another shape, or holds what is no text */
  texts(name: string, ...shape: readonly (number | null)[]): Checked<string[]> {
    const { data, size } = this.#decoded(name, shape);
    if (!Array.isArray(data)) throw failed(`${name} that are no texts`);
    return { elements: data.map((element) => (typeof element === 'string' ? element : utf8(element))), size };
  }

  /** @throws model.failed it is not there, has another shape, or holds what is no finite number */
  numbers(name: string, ...shape: readonly (number | null)[]): Checked<ArrayLike<number>> {
    const { tensor, data, size } = this.#decoded(name, shape);
    if (Array.isArray(data) || tensor.datatype === 'FP16' || data instanceof BigInt64Array || data instanceof BigUint64Array)
      throw failed(`${name} in ${tensor.datatype}`);
    for (const number of data) if (!Number.isFinite(number)) throw failed(`${name} that holds ${number}`);
    return { elements: data, size };
  }

  /** @throws model.failed it is not there, has another shape, or holds what is no file */
  files(name: string, items: number): Buffer[] {
    const { data } = this.#decoded(name, [items]);
    if (!Array.isArray(data)) throw failed(`${name} that are no files`);
    return data.map((element) =>
      typeof element === 'string' ? Buffer.from(element, 'base64') : Buffer.from(element.buffer, element.byteOffset, element.byteLength),
    );
  }

  /** How many of `most` results are meant, of each item. */
  counts(items: number, most: number): readonly number[] {
    const counts = Array.from(this.numbers(COUNT_OUTPUT, items).elements);
    for (const count of counts) if (!Number.isInteger(count) || count < 0 || count > most) throw failed(`a count of ${count} in ${most}`);
    return counts;
  }

  #decoded(name: string, expected: readonly (number | null)[]) {
    const tensor = this.#outputs.find((output) => output.name === name);
    if (tensor === undefined) throw failed(`no ${name}`);
    if (tensor.shape.length !== expected.length || expected.some((size, axis) => size !== ANY && size !== tensor.shape[axis]))
      throw failed(`${name} of another shape than was asked for`);
    const { data } = decoded(tensor);
    return { tensor, data, size: tensor.shape[expected.indexOf(ANY)] ?? 1 };
  }
}

function decoded(tensor: EncodedTensor): ReturnType<typeof decodeTensor> {
  try {
    return decodeTensor(tensor, 'outputs');
  } catch (error) {
    throw new AppError('model.failed', { cause: error });
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    throw new AppError('model.failed', { cause: error });
  }
}

/** A raw output, in JSON's terms. */
function rawTensor(output: EncodedTensor): Tensor {
  const { data, ...tensor } = decoded(output);
  const elements = Array.isArray(data) ? data.map((element) => (typeof element === 'string' ? element : utf8(element))) : data;
  const { name, datatype, shape, data: values } = encodeTensor({ ...tensor, data: elements });
  return { name, datatype, shape, data: values };
}

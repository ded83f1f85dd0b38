import { AppError } from '@weir/kernel';
import type { InferenceResponse } from '@weir/open-inference';
import type { InferInput, ModelInput, ModelOutputValue } from './infer.types.ts';

/** Texts that one call may hold. */
const MAX_TEXTS = 256;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * The Open Inference Protocol request that says the same as a typed input.
 *
 * @throws request.invalid naming the field
 */
export function requestOf(input: ModelInput): string {
  const { text, texts, image, tensors } = input;
  if (text !== undefined) return JSON.stringify({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: [text] }] });
  if (texts !== undefined) {
    if (texts.length === 0 || texts.length > MAX_TEXTS)
      throw new AppError('request.invalid', {
        field: 'input.input.texts',
        message: `input.input.texts must hold 1 to ${MAX_TEXTS} texts, got ${texts.length}.`,
      });
    return JSON.stringify({ inputs: [{ name: 'text', shape: [texts.length], datatype: 'BYTES', data: texts }] });
  }
  if (image !== undefined) {
    if (!BASE64.test(image.base64))
      throw new AppError('model.image_invalid', {
        field: 'input.input.image.base64',
        message: 'input.input.image.base64 must be a file in base64.',
      });
    return JSON.stringify({
      inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', parameters: { content_type: 'base64' }, data: [image.base64] }],
    });
  }
  if (tensors !== undefined)
    return JSON.stringify({ inputs: tensors.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, data })) });
  throw new AppError('request.invalid', {
    field: 'input.input',
    message: 'input.input must hold exactly one of text, texts, image, tensors.',
  });
}

/** The typed output of a response: labels where the input was processed, tensors as they are where it was raw. */
export function outputOf(input: InferInput, body: Buffer): ModelOutputValue {
  const response = JSON.parse(body.toString('utf8')) as InferenceResponse;
  if (input.input.tensors !== undefined) {
    return { tensors: response.outputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape: [...shape], data })) };
  }
  const labels = response.outputs.find((output) => output.name === 'label');
  const scores = response.outputs.find((output) => output.name === 'score');
  const [items, labelsEach] = labels?.shape ?? [];
  if (labels === undefined || scores === undefined || items === undefined || labelsEach === undefined)
    throw new AppError('model.failed', { cause: new Error('a classifier answered without labels') });
  const all = Array.from({ length: items }, (_, item) => ({
    labels: Array.from({ length: labelsEach }, (_rank, rank) => ({
      label: String(labels.data[item * labelsEach + rank]),
      score: Number(scores.data[item * labelsEach + rank]),
    })),
  }));
  const [first] = all;
  return input.input.texts === undefined && first !== undefined ? first : { items: all };
}

import { AppError } from '@weir/kernel';
import { decodeTensor, type RequestTensor } from '@weir/open-inference';
import { classify, itemsOf } from './classifier.ts';
import { imageBytes, preparedImage } from './image-decoding.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/**
 * Classifies pictures: PNG, JPEG or WebP files in base64.
 *
 * @throws model.image_invalid naming the picture that cannot be read
 * @throws model.input_invalid when the model takes another number of pictures at once
 */
export async function classifyImages(call: TaskCall, input: RequestTensor): Promise<TaskAnswer> {
  const { version, limits } = call;
  const preparation = version.modelPackage.image;
  const target = version.signature.inputs[0];
  if (preparation === null || target === undefined) throw new AppError('model.failed');
  if (input.parameters?.['content_type'] !== undefined && input.parameters['content_type'] !== 'base64') {
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].parameters.content_type',
      message: 'input "image": content_type must be "base64"',
    });
  }
  const items = itemsOf(decodeTensor(input, 'inputs[0]'), limits.maxItems);
  const fixedBatch = target.dims[0];
  if (typeof fixedBatch === 'number' && items.length !== fixedBatch)
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].shape',
      message: `the model takes ${fixedBatch} pictures in a call, got ${items.length}`,
    });
  const { channels, heightPixels, widthPixels } = preparation;
  const size = channels * heightPixels * widthPixels;
  const pixels = new Float32Array(items.length * size);
  // One after the other: the pictures of one call do not take all threads of the decoder.
  for (const [index, item] of items.entries()) {
    call.signal.throwIfAborted();
    pixels.set(await preparedImage(imageBytes(item, `image ${index}`), preparation, limits.maxImagePixels, `image ${index}`), index * size);
  }
  const feed = { name: target.name, type: 'float32', dims: [items.length, channels, heightPixels, widthPixels], data: pixels } as const;
  const { outputs } = await classify(call, { kind: 'tensors', feeds: [feed] }, items.length);
  return { outputs, usage: { inputs: items.length, 'input-tokens': 0 } };
}

import { AppError } from '@weir/kernel';
import { decodeTensor, type RequestTensor } from '@weir/open-inference';
import { classify, itemsOf } from './classifier.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/**
 * Classifies sentences: tokens are made in the thread of the models, so that long texts do not hold up other callers.
 *
 * @throws model.input_invalid naming the text that is too long
 */
export async function classifyTexts(call: TaskCall, input: RequestTensor): Promise<TaskAnswer> {
  const texts = itemsOf(decodeTensor(input, 'inputs[0]'), call.limits.maxItems);
  for (const [index, text] of texts.entries()) {
    if (text.length > call.limits.maxTextCharacters) {
      throw new AppError('model.input_invalid', {
        field: `inputs[0].data[${index}]`,
        message: `text ${index} has ${text.length} characters, at most ${call.limits.maxTextCharacters} are allowed`,
      });
    }
  }
  const { outputs, result } = await classify(call, { kind: 'texts', texts }, texts.length);
  return { outputs, usage: { inputs: texts.length, 'input-tokens': result.tokens } };
}

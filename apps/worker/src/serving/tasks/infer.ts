import { IMAGE_INPUT, TEXT_INPUT, type InferenceRequest } from '@weir/open-inference';
import { isProcessed } from './classifier.ts';
import { classifyImages } from './image-classification.ts';
import { runTensors } from './raw-tensors.ts';
import type { TaskAnswer, TaskCall } from './task.ts';
import { classifyTexts } from './text-classification.ts';

/** Does what a request asks of a version: a processed input by the model's task, anything else as raw tensors. */
export function infer(call: TaskCall, request: InferenceRequest): Promise<TaskAnswer> {
  const { task } = call.version.modelPackage;
  const [input] = request.inputs;
  if (input !== undefined) {
    if (task === 'text-classification' && isProcessed(request.inputs, TEXT_INPUT)) return classifyTexts(call, input);
    if (task === 'image-classification' && isProcessed(request.inputs, IMAGE_INPUT)) return classifyImages(call, input);
  }
  return runTensors(call, request.inputs, request.outputs ?? []);
}

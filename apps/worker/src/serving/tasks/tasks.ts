import type { Task } from '@weir/contracts';
import { MODEL, type ModelPackage } from '../model-package/model-package.ts';
import type { LoadedSignature } from '../runtime/messages.ts';
import { featureExtraction } from './feature-extraction.ts';
import { imageClassification } from './image-classification.ts';
import { imageGeneration } from './image-generation/image-generation.ts';
import { imageToText } from './image-to-text/image-to-text.ts';
import { objectDetection } from './object-detection/object-detection.ts';
import { recommendation } from './recommendation.ts';
import { assertStatesFit } from './recurrent-state.ts';
import { signatureOf, signatureOfRole } from './signature.ts';
import { tabularClassification } from './tabular-classification.ts';
import { tabularRegression } from './tabular-regression.ts';
import type { TaskDefinition } from './task-definition.ts';
import type { TaskVersion } from './task.ts';
import { textClassification } from './text-classification.ts';
import { tokenClassification } from './token-classification.ts';
import { voiceActivityDetection } from './voice-activity-detection/voice-activity-detection.ts';

/** What a worker does with each task beside raw tensors. */
const TASKS: Readonly<Record<Task, TaskDefinition | null>> = {
  'image-classification': imageClassification,
  'image-generation': imageGeneration,
  'image-to-text': imageToText,
  'object-detection': objectDetection,
  'text-classification': textClassification,
  'token-classification': tokenClassification,
  'feature-extraction': featureExtraction,
  'tabular-classification': tabularClassification,
  'tabular-regression': tabularRegression,
  recommendation,
  'voice-activity-detection': voiceActivityDetection,
  tensors: null,
};

/**
 * Makes a version ready for calls, once its networks are loaded.
 *
 * @param loaded what ONNX Runtime says of each network of the package, by role
 * @throws model.package_invalid when the networks do not fit the task, or a file that the task needs is missing or wrong
 */
export async function prepareVersion(modelPackage: ModelPackage, loaded: ReadonlyMap<string, LoadedSignature>): Promise<TaskVersion> {
  const signatures = new Map([...loaded].map(([role, signature]) => [role, signatureOf(signature)]));
  const { state = [] } = modelPackage.weir;
  if (state.length > 0) assertStatesFit(state, signatureOfRole(signatures, MODEL));
  const task = TASKS[modelPackage.task];
  task?.assertFits(modelPackage, signatures);
  return { modelPackage, signatures, prepared: (await task?.prepare(modelPackage, signatures)) ?? null };
}

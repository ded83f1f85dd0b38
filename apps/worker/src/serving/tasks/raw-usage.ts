import { AppError } from '@weir/kernel';
import { decodeTensor, elementCount, type InferenceUsage, type RequestTensor } from '@weir/open-inference';
import { preparedSize } from '../model-package/image-preparation.ts';
import { MODEL } from '../model-package/model-package.ts';
import { audioSeconds } from './audio-seconds.ts';
import { signatureOfRole, type Signature } from './signature.ts';
import { columnsOf } from './tables/columns.ts';
import type { TaskCall, TaskVersion } from './task.ts';

/**
 * Usage of a call with raw tensors. For the same work it is never less than that of the task's processed input, whatever shape
 * the caller chooses: tokens include the caller's padding, and several items in one row count as that many.
 *
 * @throws model.input_invalid before the model runs, when a meter of the task cannot be counted from these tensors
 */
export function rawUsage({ version, request }: Pick<TaskCall, 'version' | 'request'>): InferenceUsage {
  const { modelPackage } = version;
  const signature = signatureOfRole(version.signatures, MODEL);
  const states = new Set(modelPackage.weir.state?.map(({ input }) => input));
  const inputs = request.inputs.filter(({ name }) => !states.has(name));
  const counted = { inputs: itemsOf(version, signature, inputs), 'input-tokens': 0 };
  switch (modelPackage.task) {
    case 'text-classification':
    case 'token-classification':
    case 'feature-extraction':
      return { ...counted, 'input-tokens': Math.max(0, ...inputs.map(({ shape }) => elementCount(shape))) };
    case 'voice-activity-detection':
      return { ...counted, 'audio-seconds': secondsOf(version, request.inputs, inputs) };
    default:
      return counted;
  }
}

/** Items of a call: the largest count that any of its inputs gives. */
function itemsOf(version: TaskVersion, signature: Signature, inputs: readonly RequestTensor[]): number {
  const { task } = version.modelPackage;
  // A task's batch axis is the first one, also where it is fixed; without a task only an axis that the caller chooses can be one.
  const isBatched = ({ name }: RequestTensor): boolean =>
    task !== 'tensors' || typeof signature.inputs.find((input) => input.name === name)?.dims[0] !== 'number';
  const rows = inputs.filter(isBatched).map(({ shape }) => shape[0] ?? 1);
  const itemElements = elementsOfItem(version, signature);
  const items = inputs.map(({ name, shape }) => Math.ceil(elementCount(shape) / (itemElements.get(name) ?? Infinity)));
  return Math.max(1, ...rows, ...items);
}

/** Elements of one item by the name of the input, where the task fixes them. */
function elementsOfItem({ modelPackage }: TaskVersion, signature: Signature): ReadonlyMap<string, number> {
  const { task, weir, image } = modelPackage;
  const ofEachInput = (elements: number): ReadonlyMap<string, number> => new Map(signature.inputs.map(({ name }) => [name, elements]));
  switch (task) {
    case 'recommendation':
      return ofEachInput(1);
    case 'image-generation':
      return ofEachInput(weir.generation?.latentSize ?? Infinity);
    case 'image-classification':
    case 'object-detection': {
      const size = image === null ? null : preparedSize(image);
      return size === null || image === null ? new Map() : ofEachInput(size.heightPixels * size.widthPixels * image.channels);
    }
    case 'tabular-classification':
    case 'tabular-regression':
      return new Map(columnsOf(signature, weir.tabular?.features ?? []).map(({ input, width }) => [input.name, width]));
    default:
      return new Map();
  }
}

/** Seconds of the samples by the model's own sample rate, the one at which processed audio is counted. */
function secondsOf({ modelPackage }: TaskVersion, given: readonly RequestTensor[], inputs: readonly RequestTensor[]): number {
  const { audio } = modelPackage.weir;
  if (audio === undefined) throw new AppError('model.package_invalid', { message: 'The package has no section "audio".' });
  const { sampleRateHz, sampleRateInput } = audio;
  const at = given.findIndex(({ name }) => name === sampleRateInput);
  const rate = given[at];
  if (rate !== undefined && Array.from(decodeTensor(rate, `inputs[${at}]`).data, Number).some((value) => value !== sampleRateHz))
    throw new AppError('model.input_invalid', {
      field: `inputs[${at}].data`,
      message: `input ${JSON.stringify(rate.name)}: expected ${sampleRateHz}, the sample rate by which the seconds of raw samples are counted`,
    });
  const samples = inputs.filter(({ name }) => name !== sampleRateInput).reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return audioSeconds(samples, sampleRateHz);
}

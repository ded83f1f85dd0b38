import { AppError } from '@weir/kernel';
import { encodeTensor, fromHalfBits, type RequestTensor, type ResponseTensor, type Tensor } from '@weir/open-inference';
import type { ModelPackage } from '../packages/model-package.ts';
import type { RunResult } from '../runtime/messages.ts';
import { RunRefusedError, type RunWork } from '../runtime/model-runtime.ts';
import { classificationOutputs } from './classification.ts';
import { describeTensor, type Signature } from './signature.ts';
import type { TaskCall } from './task.ts';

/** Most labels in an answer, unless the request's parameter `top_k` asks for another number. */
const DEFAULT_TOP_LABELS = 10;
const MAX_TOP_LABELS = 1_000;

const TEXT_INPUTS: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'token_type_ids', 'position_ids']);

/**
 * Can the task of the package be done with what the ONNX file takes and gives?
 *
 * @throws model.package_invalid naming what does not fit
 */
export function assertTaskFits(modelPackage: ModelPackage, signature: Signature): void {
  const unfit = (message: string): AppError =>
    new AppError('model.package_invalid', { message: `The model does not fit its task ${modelPackage.task}: ${message}` });
  if (modelPackage.task === 'tensors') return;
  logitsOutput(signature);
  if (modelPackage.text !== null) {
    for (const input of signature.inputs) {
      if (!TEXT_INPUTS.has(input.name) || input.datatype !== 'INT64') throw unfit(`text does not fill the input ${describeTensor(input)}`);
    }
    if (!signature.inputs.some((input) => input.name === 'input_ids')) throw unfit('it has no input "input_ids"');
  }
  if (modelPackage.image !== null) {
    const { channels, heightPixels, widthPixels } = modelPackage.image;
    const [input, ...others] = signature.inputs;
    const sizes = [channels, heightPixels, widthPixels];
    const fits =
      input !== undefined &&
      others.length === 0 &&
      input.datatype === 'FP32' &&
      input.dims.length === 4 &&
      sizes.every((size, index) => typeof input.dims[index + 1] !== 'number' || input.dims[index + 1] === size);
    if (!fits)
      throw unfit(`one input FP32 [batch, ${sizes.join(', ')}] is needed, there is ${signature.inputs.map(describeTensor).join(', ')}`);
  }
}

function logitsOutput(signature: Signature): string {
  const output =
    signature.outputs.find((candidate) => candidate.name === 'logits') ??
    (signature.outputs.length === 1 ? signature.outputs[0] : undefined);
  if (output === undefined || (output.datatype !== 'FP32' && output.datatype !== 'FP16'))
    throw new AppError('model.package_invalid', { message: 'A classifier needs the output "logits" in FP32 or FP16.' });
  return output.name;
}

/**
 * The items of a processed input: JSON strings in a tensor `[n]` or `[n, 1]`.
 *
 * @throws model.input_invalid naming what is expected and what came
 */
export function itemsOf(tensor: Tensor, maxItems: number): readonly string[] {
  const [items, rest] = tensor.shape;
  if (items === undefined || items === 0 || tensor.shape.length > 2 || (rest !== undefined && rest !== 1)) {
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].shape',
      message: `input ${JSON.stringify(tensor.name)}: expected shape [n] with n of at least 1, got [${tensor.shape.join(', ')}]`,
    });
  }
  if (items > maxItems)
    throw new AppError('request.too_large', { field: 'inputs[0].shape', message: `a call may hold ${maxItems} items, got ${items}` });
  return tensor.data as string[];
}

/** Is the request one processed input of this name? */
export function isProcessed(inputs: readonly RequestTensor[], name: string): boolean {
  return inputs.length === 1 && inputs[0]?.name === name && inputs[0].datatype === 'BYTES';
}

/**
 * Runs a classifier on prepared items.
 *
 * @throws model.failed when the model does not take what was prepared for it, or gives something else than scores
 */
export async function classify(
  call: TaskCall,
  work: RunWork,
  items: number,
): Promise<{ outputs: readonly ResponseTensor[]; result: RunResult }> {
  const { version, runtime, signal, parameters } = call;
  const keep = topLabels(parameters['top_k']);
  const output = logitsOutput(version.signature);
  let result: RunResult;
  try {
    result = await runtime.run(version.versionId, work, [output], signal);
  } catch (error) {
    // The tensors were made here: that they are refused is not the caller's doing.
    if (error instanceof RunRefusedError) throw new AppError('model.failed', { cause: error });
    throw error;
  }
  const logits = result.outputs[0];
  if (logits === undefined || Array.isArray(logits.data) || logits.dims.length !== 2 || logits.dims[0] !== items)
    throw new AppError('model.failed', { message: 'The model gave something else than scores.' });
  const numbers =
    logits.data instanceof Uint16Array && logits.type === 'float16' ? fromHalfBits(logits.data) : Array.from(logits.data, Number);
  return { outputs: classificationOutputs(numbers, items, version.modelPackage, keep).map(encodeTensor), result };
}

function topLabels(value: unknown): number {
  if (value === undefined) return DEFAULT_TOP_LABELS;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MAX_TOP_LABELS) {
    throw new AppError('model.input_invalid', {
      field: 'parameters.top_k',
      message: `parameters.top_k must be a whole number from 1 to ${MAX_TOP_LABELS}`,
    });
  }
  return value;
}

import { AppError } from '@weir/kernel';
import { decodeTensor, type RequestTensor } from '@weir/open-inference';
import { MODEL, type ModelPackage } from '../model-package/model-package.ts';
import { RunRefusedError } from '../runtime/run-refused.ts';
import { rawUsage } from './raw-usage.ts';
import { keepStates, stateFeeds, statesOf } from './recurrent-state.ts';
import { assertFits, describeTensor, fromOnnx, signatureOfRole, toOnnx, type Signature } from './signature.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/**
 * Runs a model on tensors under the names of its ONNX file. States of a recurrent model that the caller does not send are those
 * of its sequence, zeros where it has none.
 *
 * @throws model.input_invalid naming the tensor, what is expected and what came; when a meter of the task cannot be counted from
 *   these tensors; also when ONNX Runtime refuses the values (an index that is out of range, say), because here they are the caller's
 */
export async function runTensors(call: TaskCall): Promise<TaskAnswer> {
  const { request, sequence, version } = call;
  if (!version.signatures.has(MODEL))
    throw new AppError('model.input_invalid', {
      field: 'inputs',
      message: 'the model has several networks and takes no raw tensors; its metadata tells what it takes',
    });
  const signature = signatureOfRole(version.signatures, MODEL);
  const states = statesOf(call);
  assertFits(signature, request.inputs, new Set(states.map(({ input }) => input)));
  assertLength(version.modelPackage, request.inputs);
  const usage = rawUsage(call);
  const wanted = outputNames(signature, call);
  const rows = rowsOf(signature, request.inputs);
  const absent = states.filter(({ input }) => !request.inputs.some(({ name }) => name === input));
  const given = request.inputs.map((input, index) => toOnnx(decodeTensor(input, `inputs[${index}]`)));
  const feeds = [...given, ...stateFeeds(absent, sequence, rows)];
  const outputs = [...new Set([...wanted, ...(sequence === null ? [] : states.map(({ output }) => output))])];
  try {
    const results = await call.run({ network: MODEL, feeds, outputs, usage });
    keepStates(states, sequence, results);
    return { outputs: results.filter(({ name }) => wanted.includes(name)).map(fromOnnx), usage };
  } catch (error) {
    if (error instanceof RunRefusedError)
      throw new AppError('model.input_invalid', { field: 'inputs', message: `the model refused these tensors: ${error.message}` });
    throw error;
  }
}

function outputNames({ outputs }: Signature, { request }: TaskCall): string[] {
  if (request.outputs.length === 0) return outputs.map((output) => output.name);
  for (const [index, { name }] of request.outputs.entries()) {
    if (!outputs.some((output) => output.name === name)) {
      throw new AppError('model.input_invalid', {
        field: `outputs[${index}].name`,
        message: `unknown output ${JSON.stringify(name.slice(0, 80))}; the model gives ${outputs.map(describeTensor).join(', ')}`,
      });
    }
  }
  return [...new Set(request.outputs.map(({ name }) => name))];
}

/** @throws model.input_invalid naming a tensor whose rows are longer than the network's longest text */
function assertLength({ networks, text }: ModelPackage, given: readonly RequestTensor[]): void {
  if (text === null) return;
  for (const [index, { name, shape }] of given.entries()) {
    const length = shape[networks.get(MODEL)?.padding?.inputs.get(name)?.axis ?? -1] ?? 0;
    if (length > text.maxPositions)
      throw new AppError('model.input_invalid', {
        field: `inputs[${index}].shape`,
        message: `input ${JSON.stringify(name.slice(0, 80))}: rows have ${length} tokens, the model reads at most ${text.maxPositions}`,
      });
  }
}

/** Items of a call with tensors: the size of the first axis that the caller chooses, else one. */
function rowsOf({ inputs }: Signature, given: readonly RequestTensor[]): number {
  for (const { name, dims } of inputs) {
    const [size] = given.find((input) => input.name === name)?.shape ?? [];
    if (size !== undefined && typeof dims[0] !== 'number') return size;
  }
  return 1;
}

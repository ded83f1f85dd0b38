import { AppError } from '@weir/kernel';
import { decodeTensor, encodeTensor, type RequestedOutput, type RequestTensor } from '@weir/open-inference';
import { RunRefusedError } from '../runtime/model-runtime.ts';
import { assertFits, describeTensor, fromOnnx, toOnnx } from './signature.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/**
 * Runs a model on tensors under the names of its ONNX file.
 *
 * @throws model.input_invalid naming the tensor, what is expected and what came; also when ONNX Runtime refuses the
 *   values (an index that is out of range, say), because here they are the caller's
 */
export async function runTensors(
  call: TaskCall,
  inputs: readonly RequestTensor[],
  requested: readonly RequestedOutput[],
): Promise<TaskAnswer> {
  const { version, runtime, signal } = call;
  assertFits(version.signature, inputs);
  const outputs = outputNames(call, requested);
  const feeds = inputs.map((input, index) => toOnnx(decodeTensor(input, `inputs[${index}]`)));
  try {
    const result = await runtime.run(version.versionId, { kind: 'tensors', feeds }, outputs, signal);
    return {
      outputs: result.outputs.map((output) => encodeTensor(fromOnnx(output))),
      usage: { inputs: rowsOf(call, inputs), 'input-tokens': 0 },
    };
  } catch (error) {
    if (error instanceof RunRefusedError)
      throw new AppError('model.input_invalid', { field: 'inputs', message: `the model refused these tensors: ${error.message}` });
    if (error instanceof AppError && error.code === 'model.failed')
      throw new AppError('model.input_invalid', { field: 'inputs', message: `${error.message}, for these tensors` });
    throw error;
  }
}

function outputNames({ version }: TaskCall, requested: readonly RequestedOutput[]): string[] {
  const known = version.signature.outputs;
  if (requested.length === 0) return known.map((output) => output.name);
  for (const [index, { name }] of requested.entries()) {
    if (!known.some((output) => output.name === name)) {
      throw new AppError('model.input_invalid', {
        field: `outputs[${index}].name`,
        message: `unknown output ${JSON.stringify(name.slice(0, 80))}; the model gives ${known.map(describeTensor).join(', ')}`,
      });
    }
  }
  return [...new Set(requested.map((output) => output.name))];
}

/** Items of a call with tensors: the size of the first axis that the caller chooses, else one. */
function rowsOf({ version }: TaskCall, inputs: readonly RequestTensor[]): number {
  const first = version.signature.inputs[0];
  if (first === undefined || typeof first.dims[0] === 'number') return 1;
  return Math.max(1, inputs.find((input) => input.name === first.name)?.shape[0] ?? 1);
}

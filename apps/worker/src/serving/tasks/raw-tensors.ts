import { AppError } from '@weir/kernel';
import { decodeTensor, type RequestTensor } from '@weir/open-inference';
import { MODEL } from '../model-package/model-package.ts';
import { RunRefusedError } from '../runtime/run-refused.ts';
import { assertFits, describeTensor, fromOnnx, toOnnx, type Signature } from './signature.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/**
 * Runs a model on tensors under the names of its ONNX file.
 *
 * @throws model.input_invalid naming the tensor, what is expected and what came; also when ONNX Runtime refuses the
 *   values (an index that is out of range, say), because here they are the caller's
 */
export async function runTensors(call: TaskCall): Promise<TaskAnswer> {
  const { request, version } = call;
  const signature = version.signatures.get(MODEL);
  if (signature === undefined)
    throw new AppError('model.input_invalid', { field: 'inputs', message: 'the model has several networks and takes no raw tensors' });
  assertFits(signature, request.inputs);
  const outputs = outputNames(signature, call);
  const feeds = request.inputs.map((input, index) => toOnnx(decodeTensor(input, `inputs[${index}]`)));
  const rows = rowsOf(signature, request.inputs);
  try {
    const results = await call.run({ network: MODEL, feeds, outputs, rows });
    return { outputs: results.map(fromOnnx), usage: { inputs: Math.max(1, rows), 'input-tokens': 0 } };
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

/** Items of a call with tensors: the size of the first axis that the caller chooses, else one. */
function rowsOf({ inputs: [first] }: Signature, inputs: readonly RequestTensor[]): number {
  if (first === undefined || typeof first.dims[0] === 'number') return 1;
  return inputs.find((input) => input.name === first.name)?.shape[0] ?? 1;
}

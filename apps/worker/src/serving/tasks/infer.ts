import { AppError } from '@weir/kernel';
import { PROCESSED_SIGNATURES, type ProcessedSignature } from '@weir/open-inference';
import { MODEL } from '../model-package/model-package.ts';
import { runTensors } from './raw-tensors.ts';
import type { PreparedTask, TaskAnswer, TaskCall } from './task.ts';

/**
 * Does what a request asks of a version: a processed input by the model's task, anything else as raw tensors.
 *
 * @throws model.input_invalid naming the field that is wrong, what is expected and what came
 */
export async function infer(call: TaskCall): Promise<TaskAnswer> {
  const { version, request } = call;
  const processed = PROCESSED_SIGNATURES[version.modelPackage.task];
  if (processed === undefined || version.prepared === null || !isProcessed(call, processed)) return runTensors(call);
  return inferProcessed(call, processed, version.prepared, request.outputs.length === 0 ? null : chosenOutputs(call, processed));
}

async function inferProcessed(
  call: TaskCall,
  { inputs }: ProcessedSignature,
  prepared: PreparedTask,
  chosen: readonly string[] | null,
): Promise<TaskAnswer> {
  const [input, ...others] = call.request.inputs;
  const expected = inputs.find(({ name }) => name === input?.name);
  if (input === undefined || expected === undefined || others.length > 0)
    throw new AppError('model.input_invalid', {
      field: 'inputs',
      message: `expected one input, ${inputs.map(({ name }) => JSON.stringify(name)).join(' or ')}, got ${call.request.inputs.length}`,
    });
  if (input.datatype !== expected.datatype)
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].datatype',
      message: `input ${JSON.stringify(input.name)}: expected datatype ${expected.datatype}, got ${input.datatype}`,
    });
  const { outputs, usage } = await prepared.infer(call);
  if (chosen === null) return { outputs, usage };
  return { outputs: chosen.map((name) => outputs.find((output) => output.name === name)).filter((output) => output !== undefined), usage };
}

/** Is one of the inputs the task's, and not an input of the network that happens to have the same name? */
function isProcessed({ version, request }: TaskCall, processed: ProcessedSignature): boolean {
  const raw = version.signatures.get(MODEL)?.inputs ?? [];
  return request.inputs.some((input) => {
    const expected = processed.inputs.find(({ name }) => name === input.name);
    if (expected === undefined) return false;
    return input.datatype === expected.datatype || !raw.some(({ name }) => name === input.name);
  });
}

function chosenOutputs({ request }: TaskCall, { outputs }: ProcessedSignature): string[] {
  for (const [index, { name }] of request.outputs.entries()) {
    if (outputs.some((output) => output.name === name)) continue;
    throw new AppError('model.input_invalid', {
      field: `outputs[${index}].name`,
      message: `unknown output ${JSON.stringify(name.slice(0, 80))}; for this input the model gives ${outputs.map((output) => JSON.stringify(output.name)).join(', ')}`,
    });
  }
  return [...new Set(request.outputs.map(({ name }) => name))];
}

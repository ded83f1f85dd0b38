import { AppError } from '@weir/kernel';
import { formatShape, fromHalfBits } from '@weir/open-inference';
import type { OnnxTensor } from '../runtime/messages.ts';
import { RunRefusedError } from '../runtime/run-refused.ts';
import type { RunItem, TaskCall } from './task.ts';

/**
 * Runs tensors that a task has made itself: that a network does not take them is not the caller's doing.
 *
 * @throws model.failed when the network refuses them
 */
export async function runPrepared(call: Pick<TaskCall, 'run'>, item: RunItem): Promise<readonly OnnxTensor[]> {
  try {
    return await call.run(item);
  } catch (error) {
    if (error instanceof RunRefusedError) throw new AppError('model.failed', { cause: error });
    throw error;
  }
}

/** Numbers of an output in row-major order. */
export interface OutputNumbers {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

/**
 * An output that has to hold numbers.
 *
 * @param expected sizes of its axes; null where any size will do
 * @throws model.failed when it is missing, has another shape, or holds something that is not a number
 */
export function numbersOf(output: OnnxTensor | undefined, expected: readonly (number | null)[]): OutputNumbers {
  const fits = output?.dims.length === expected.length && expected.every((size, axis) => size === null || output.dims[axis] === size);
  if (output === undefined || !fits) {
    const wanted = formatShape(expected.map((size) => size ?? 'any'));
    throw failed(`it gave ${output === undefined ? 'nothing' : formatShape(output.dims)} where ${wanted} is needed`);
  }
  const data = floatsOf(output);
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) throw failed('it gave no numbers for this input');
  return { dims: output.dims, data };
}

function floatsOf({ type, data }: OnnxTensor): ArrayLike<number> {
  if (Array.isArray(data)) throw failed('it gave text where numbers are needed');
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  return type === 'float16' && data instanceof Uint16Array ? fromHalfBits(data) : data;
}

/** The model's fault, said so that its publisher knows what to look for. */
export function failed(problem: string): AppError {
  return new AppError('model.failed', { message: `The model failed on this input: ${problem}.` });
}

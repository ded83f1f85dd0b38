import type { WeirFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { elementCount, formatShape, type Tensor, type TensorData } from '@weir/open-inference';
import type { OnnxTensor } from '../runtime/messages.ts';
import { describeTensor, toOnnx, type Signature, type SignatureTensor } from './signature.ts';
import type { SequenceState, TaskCall } from './task.ts';

/** A state of a recurrent network: the input that takes it, and the output that gives the next one. */
export type RecurrentState = NonNullable<WeirFile['state']>[number];

/** The states that the package says its network has. */
export function statesOf({ version }: Pick<TaskCall, 'version'>): readonly RecurrentState[] {
  return version.modelPackage.weir.state ?? [];
}

/**
 * Has the network the states that its package speaks of?
 *
 * @throws model.package_invalid naming the state that it does not have
 */
export function assertStatesFit(states: readonly RecurrentState[], { inputs, outputs }: Signature): void {
  for (const { input, output, datatype, shape } of states) {
    const fits = (tensor: SignatureTensor | undefined): boolean =>
      tensor?.datatype === datatype &&
      (tensor.dims.length === 0 || tensor.dims.length === shape.length) &&
      tensor.dims.every((size, axis) => typeof size !== 'number' || shape[axis] === -1 || shape[axis] === size);
    if (fits(inputs.find(({ name }) => name === input)) && fits(outputs.find(({ name }) => name === output))) continue;
    const wanted = `${datatype} ${formatShape(shape)}`;
    throw new AppError('model.package_invalid', {
      field: 'weir.json',
      message: `weir.json of the package speaks of a state ${wanted} from the output ${JSON.stringify(output)} to the input ${JSON.stringify(input)}; the model has ${[...inputs, ...outputs].map(describeTensor).join(', ')}.`,
    });
  }
}

/**
 * The states that a call goes on with: those of its sequence, zeros at the start. Copies, for what a network is fed is given away.
 *
 * @param rows of the call, where a state has an axis for them
 */
export function stateFeeds(states: readonly RecurrentState[], sequence: SequenceState | null, rows: number): OnnxTensor[] {
  return states.map((state) => {
    const kept = sequence?.tensors.get(state.input);
    return kept === undefined ? zeroState(state, rows) : { ...kept, data: kept.data.slice() as TensorData };
  });
}

/**
 * Keeps what the network gave for the next call of the sequence.
 *
 * @param outputs of the run; a state whose output is not there stays as it is
 */
export function keepStates(states: readonly RecurrentState[], sequence: SequenceState | null, outputs: readonly OnnxTensor[]): void {
  for (const { input, output } of states) {
    const next = outputs.find(({ name }) => name === output);
    if (next !== undefined) sequence?.tensors.set(input, { ...next, name: input });
  }
}

function zeroState({ input, datatype, shape }: RecurrentState, rows: number): OnnxTensor {
  const sizes = shape.map((size) => (size === -1 ? rows : size));
  return toOnnx({ name: input, datatype, shape: sizes, data: zeros(datatype, elementCount(sizes)) });
}

function zeros(datatype: RecurrentState['datatype'], count: number): Tensor['data'] {
  switch (datatype) {
    case 'FP32':
      return new Float32Array(count);
    case 'FP64':
      return new Float64Array(count);
    case 'FP16':
      return new Uint16Array(count);
    case 'INT64':
      return new BigInt64Array(count);
    case 'INT32':
      return new Int32Array(count);
  }
}

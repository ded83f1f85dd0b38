import { AppError } from '@weir/kernel';
import { MODEL } from '../model-package/model-package.ts';
import type { OnnxTensor } from '../runtime/messages.ts';
import { describeTensor, type Signature } from './signature.ts';
import type { RunItem } from './task.ts';

const TEXT_INPUTS: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'token_type_ids', 'position_ids']);

/**
 * Does text fill all that the network takes?
 *
 * @throws model.package_invalid naming the input that it does not fill
 */
export function assertTakesText({ inputs }: Signature): void {
  for (const input of inputs) {
    if (!TEXT_INPUTS.has(input.name) || (input.datatype !== 'INT64' && input.datatype !== 'INT32'))
      throw new AppError('model.package_invalid', { message: `Text does not fill the model's input ${describeTensor(input)}.` });
  }
  if (!inputs.some((input) => input.name === 'input_ids'))
    throw new AppError('model.package_invalid', { message: 'The model has no input "input_ids", which texts need.' });
}

/** One text as the work of a network: one row, as long as its tokens; what is shorter in a shared run is padded by its rule. */
export function textItem({ inputs }: Signature, ids: readonly number[], outputs: readonly string[]): RunItem {
  const feeds = inputs.map(({ name, datatype }): OnnxTensor => {
    const values = Array.from(ids, (id, position) => valueOf(name, id, position));
    return datatype === 'INT32'
      ? { name, type: 'int32', dims: [1, ids.length], data: Int32Array.from(values) }
      : { name, type: 'int64', dims: [1, ids.length], data: BigInt64Array.from(values, BigInt) };
  });
  return { network: MODEL, feeds, outputs, rows: 1, length: ids.length };
}

function valueOf(input: string, id: number, position: number): number {
  switch (input) {
    case 'input_ids':
      return id;
    case 'attention_mask':
      return 1;
    case 'position_ids':
      return position;
    default:
      return 0;
  }
}

import { AppError } from '@weir/kernel';
import type { InferenceUsage } from '@weir/open-inference';
import { MODEL, type ModelPackage } from '../../model-package/model-package.ts';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { describeTensor, type Signature } from '../signature.ts';
import { itemField } from '../processed-input.ts';
import type { RunItem, TaskCall } from '../task.ts';
import { TextTokenizer, type TokenRow } from './text-tokenizer.ts';

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
export function textItem({ inputs }: Signature, ids: Int32Array, outputs: readonly string[]): RunItem {
  const feeds = inputs.map(({ name, datatype }): OnnxTensor => {
    const values = ids.map((id, position) => valueOf(name, id, position));
    return datatype === 'INT32'
      ? { name, type: 'int32', dims: [1, ids.length], data: values }
      : { name, type: 'int64', dims: [1, ids.length], data: BigInt64Array.from(values, BigInt) };
  });
  return { network: MODEL, feeds, outputs, usage: { inputs: 1, 'input-tokens': ids.length } };
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

/** The tokenizer of a package, for as long as the version is loaded. */
export function openTokenizer({ text }: ModelPackage): Promise<TextTokenizer> {
  if (text === null) throw new AppError('model.package_invalid', { message: 'The package has no tokenizer.' });
  return TextTokenizer.open(text);
}

/** Texts as rows of tokens, and what is counted of them. */
export interface EncodedTexts {
  readonly rows: readonly TokenRow[];
  readonly usage: InferenceUsage;
}

/**
 * The tokens of the texts of a call.
 *
 * @throws model.input_invalid naming a text that has no token
 */
export async function encodedTexts(
  call: TaskCall,
  tokenizer: TextTokenizer,
  texts: readonly string[],
  options: { readonly withOffsets?: boolean } = {},
): Promise<EncodedTexts> {
  const rows = await tokenizer.encode(texts, call.signal, options);
  const empty = rows.findIndex(({ ids }) => ids.length === 0);
  if (empty !== -1)
    throw new AppError('model.input_invalid', {
      field: itemField(empty),
      message: `item ${empty}: expected text, got none that the model reads`,
    });
  return { rows, usage: { inputs: texts.length, 'input-tokens': rows.reduce((sum, { ids }) => sum + ids.length, 0) } };
}

import type { Feature } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { toHalfBits, type Datatype, type TensorData } from '@weir/open-inference';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { itemField } from '../processed-input.ts';
import { describeTensor, toOnnx, type Signature, type SignatureTensor } from '../signature.ts';
import { widthOf, type FeatureValue } from './record.ts';

/** An input of the network and the features that fill it, one after the other. */
export interface Column {
  readonly input: SignatureTensor;
  /** Positions among the features. */
  readonly features: readonly number[];
  readonly width: number;
}

/**
 * How features become what the network takes: one matrix of all, or an input for each feature under its name, as
 * scikit-learn's pipelines are exported.
 *
 * @throws model.package_invalid naming the input that the features do not fill
 */
export function columnsOf({ inputs }: Signature, features: readonly Feature[]): Column[] {
  const [matrix, ...others] = inputs;
  if (matrix !== undefined && others.length === 0)
    return [
      columnOf(
        matrix,
        features,
        features.map((_, index) => index),
      ),
    ];
  const columns = inputs.map((input) => {
    const index = features.findIndex(({ name }) => name === input.name || identifier(name) === input.name);
    if (index === -1) throw unfit(`no feature of weir.json has the name of the input ${describeTensor(input)}`);
    return columnOf(input, features, [index]);
  });
  const filled = new Set(columns.flatMap((column) => column.features));
  const unused = features.find((_, index) => !filled.has(index));
  if (unused !== undefined) throw unfit(`the model has no input for the feature ${JSON.stringify(unused.name)}`);
  return columns;
}

function columnOf(input: SignatureTensor, features: readonly Feature[], indices: readonly number[]): Column {
  const isText = input.datatype === 'BYTES';
  const width = indices.reduce((sum, index) => sum + (isText || features[index] === undefined ? 1 : widthOf(features[index])), 0);
  const [, size] = input.dims;
  const isVector = input.dims.length === 1 && width === 1;
  const fits = NUMBERS_OF[input.datatype] !== undefined || isText;
  if (!fits || (!isVector && (input.dims.length !== 2 || (typeof size === 'number' && size !== width))))
    throw unfit(`the features fill a column of [records, ${width}] numbers, the model takes ${describeTensor(input)}`);
  return { input, features: indices, width };
}

/**
 * The tensors of some records.
 *
 * @param records values of each in the order of the features
 */
export function feedsOf(columns: readonly Column[], records: readonly (readonly FeatureValue[])[]): OnnxTensor[] {
  return columns.map(({ input, features, width }) => {
    const values = records.flatMap((record) => features.map((index) => record[index]).filter((value) => value !== undefined));
    const shape = input.dims.length === 1 ? [records.length] : [records.length, width];
    const make = NUMBERS_OF[input.datatype];
    const data: TensorData = make === undefined ? values.map(({ text }) => text) : make(values.flatMap(({ numbers }) => numbers));
    return toOnnx({ name: input.name, datatype: input.datatype, shape, data });
  });
}

/**
 * Can the columns hold the values of a record?
 *
 * @throws model.input_invalid naming the item and the feature whose number the network's datatype does not have
 */
export function assertHolds(columns: readonly Column[], features: readonly Feature[], values: readonly FeatureValue[], item: number): void {
  for (const { input, features: indices } of columns) {
    for (const index of indices) {
      const unfitting = values[index]?.numbers.find((number) => !holds(input.datatype, number));
      if (unfitting === undefined) continue;
      throw new AppError('model.input_invalid', {
        field: itemField(item),
        message: `record ${item}: feature ${JSON.stringify(features[index]?.name)}: expected a number that is one in ${input.datatype}, got ${values[index]?.text}`,
      });
    }
  }
}

function holds(datatype: Datatype, number: number): boolean {
  switch (datatype) {
    case 'INT64':
      return Number.isSafeInteger(number);
    case 'INT32':
      return Number.isInteger(number) && Math.abs(number) <= 0x7fff_ffff;
    case 'FP32':
      return Number.isFinite(Math.fround(number));
    case 'FP16':
      return Number.isFinite(Math.f16round(number));
    default:
      return true;
  }
}

/** Numbers in the datatypes that tables are exported with. */
const NUMBERS_OF: Readonly<Partial<Record<Datatype, (numbers: readonly number[]) => TensorData>>> = {
  FP32: (numbers) => Float32Array.from(numbers),
  FP64: (numbers) => Float64Array.from(numbers),
  FP16: (numbers) => toHalfBits(numbers),
  INT64: (numbers) => BigInt64Array.from(numbers, BigInt),
  INT32: (numbers) => Int32Array.from(numbers),
};

/** A name as exporters write it where only letters, digits and `_` are allowed. */
function identifier(name: string): string {
  return name.replace(/\W/g, '_');
}

function unfit(problem: string): AppError {
  return new AppError('model.package_invalid', {
    field: 'weir.json',
    message: `weir.json of the package does not fit the model: ${problem}.`,
  });
}

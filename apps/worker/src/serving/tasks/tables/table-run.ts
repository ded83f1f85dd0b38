import type { Feature } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { MODEL, type ModelPackage } from '../../model-package/model-package.ts';
import { invalidFile } from '../../model-package/package-files.ts';
import { numbersOf, runPrepared, type OutputNumbers } from '../prepared-run.ts';
import { textsOf } from '../processed-input.ts';
import type { Signature } from '../signature.ts';
import type { TaskCall } from '../task.ts';
import { Turns } from '../turns.ts';
import { assertHolds, columnsOf, feedsOf, type Column } from './columns.ts';
import { featureValues, parseDataRecord, type FeatureValue } from './record.ts';

/** What every call of a tabular model needs. */
export interface Table {
  readonly features: readonly Feature[];
  readonly columns: readonly Column[];
}

/** @throws model.package_invalid when `weir.json` names no features, or they do not fit the network */
export function tableOf({ weir }: ModelPackage, signature: Signature): Table {
  if (weir.tabular === undefined) throw invalidFile('weir.json', 'must name the features of the model in "tabular"');
  const { features } = weir.tabular;
  return { features, columns: columnsOf(signature, features) };
}

/**
 * Runs a tabular model on the records of a call.
 *
 * @param rank axes of the output: 1 for `[records]`, 2 for `[records, any]`
 * @returns numbers of each record, in their order
 * @throws model.input_invalid naming the record and the feature that is wrong
 * @throws model.failed when the output does not have the shape
 */
export async function runTable(call: TaskCall, { features, columns }: Table, output: string): Promise<OutputNumbers> {
  const turns = new Turns(call.signal);
  const records: FeatureValue[][] = [];
  for (const [index, text] of textsOf(call).entries()) {
    if (turns.isOver) await turns.next();
    const values = featureValues(parseDataRecord(text, index), features, index);
    assertHolds(columns, features, values, index);
    records.push(values);
  }
  const batch = columns[0]?.input.dims[0];
  if (typeof batch === 'number' && batch !== 1 && batch !== records.length)
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].shape',
      message: `the model takes ${batch} records in a call, got ${records.length}`,
    });
  // A network without a batch axis reads one record at a time.
  const parts = batch === 1 ? records.map((record) => [record]) : [records];
  const results = await Promise.all(
    parts.map(async (part) => {
      const item = { network: MODEL, feeds: feedsOf(columns, part), outputs: [output] };
      const [result] = await runPrepared(call, { ...item, usage: { inputs: part.length, 'input-tokens': 0 } });
      return numbersOf(result, result?.dims.length === 1 ? [part.length] : [part.length, null]);
    }),
  );
  const width = (results[0]?.data.length ?? 0) / (parts[0]?.length ?? 1);
  return { dims: [records.length, width], data: results.flatMap(({ data }) => Array.from(data)) };
}

import { AppError } from '@weir/kernel';
import { VALUE_OUTPUT } from '@weir/open-inference';
import { MODEL } from '../model-package/model-package.ts';
import { failed } from './prepared-run.ts';
import { describeTensor, signatureOfRole, type Signature } from './signature.ts';
import { runTable, tableOf, type Table } from './tables/table-run.ts';
import { defineTask } from './task-definition.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/** Records in, one number for each out. */
export const tabularRegression = defineTask<Table>({
  assertFits: (modelPackage, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    tableOf(modelPackage, signature);
    valueOutput(signature);
  },
  prepare: (modelPackage, signatures) => tableOf(modelPackage, signatureOfRole(signatures, MODEL)),
  infer: estimateValues,
});

async function estimateValues(call: TaskCall, table: Table): Promise<TaskAnswer> {
  const { modelPackage, signatures } = call.version;
  const { mean = 0, deviation = 1 } = modelPackage.weir.tabular?.target ?? {};
  const { dims, data } = await runTable(call, table, valueOutput(signatureOfRole(signatures, MODEL)));
  const [records = 0, values] = dims;
  if (values !== 1) throw failed(`it gave ${values} values for a record where one is needed`);
  return {
    outputs: [
      { name: VALUE_OUTPUT, datatype: 'FP64', shape: [records], data: Float64Array.from(data, (value) => value * deviation + mean) },
    ],
    usage: { inputs: records, 'input-tokens': 0 },
  };
}

/** @throws model.package_invalid when there is not one output of numbers */
function valueOutput({ outputs }: Signature): string {
  const [output, ...others] = outputs.filter(({ datatype }) => datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16');
  if (output !== undefined && others.length === 0) return output.name;
  throw new AppError('model.package_invalid', {
    message: `A regression needs one output of numbers; the model gives ${outputs.map(describeTensor).join(', ')}.`,
  });
}

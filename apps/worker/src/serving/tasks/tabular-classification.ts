import { AppError } from '@weir/kernel';
import { MODEL, type ModelPackage } from '../model-package/model-package.ts';
import { classificationOutputs, logitsOutput, scoresOf, topLabels, type Scores } from './classification.ts';
import { failed, type OutputNumbers } from './prepared-run.ts';
import { signatureOfRole, type Signature } from './signature.ts';
import { runTable, tableOf, type Table } from './tables/table-run.ts';
import { defineTask } from './task-definition.ts';
import type { TaskAnswer, TaskCall } from './task.ts';

/** Records in, labels with scores out. */
export const tabularClassification = defineTask<Table>({
  assertFits: (modelPackage, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    tableOf(modelPackage, signature);
    scoreOutput(signature);
  },
  prepare: (modelPackage, signatures) => tableOf(modelPackage, signatureOfRole(signatures, MODEL)),
  infer: classifyRecords,
});

async function classifyRecords(call: TaskCall, table: Table): Promise<TaskAnswer> {
  const { modelPackage, signatures } = call.version;
  const keep = topLabels(call.request.parameters);
  const output = scoreOutput(signatureOfRole(signatures, MODEL));
  const numbers = await runTable(call, table, output.name);
  const scores = output.isProbabilities ? probabilitiesOf(numbers) : logitsScores(numbers, modelPackage);
  return {
    outputs: classificationOutputs(scores, modelPackage.labels, keep),
    usage: { inputs: scores.length, 'input-tokens': 0 },
  };
}

/** Probabilities may be greater than 1 by this much. */
const ROUNDING = 1e-3;

/** The output that says how likely each class is. */
interface ScoreOutput {
  readonly name: string;
  /** Add up to 1 already, as scikit-learn's do. */
  readonly isProbabilities: boolean;
}

/**
 * `probabilities` as scikit-learn's exporters name it, else the logits.
 *
 * @throws model.package_invalid when there is neither as a tensor
 */
function scoreOutput(signature: Signature): ScoreOutput {
  const isNumbers = (datatype: string): boolean => datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16';
  const probabilities = signature.outputs.find(({ name, datatype }) => /probabilit/i.test(name) && isNumbers(datatype));
  if (probabilities !== undefined) return { name: probabilities.name, isProbabilities: true };
  if (signature.outputs.length > 0 && signature.outputs.every(({ datatype }) => !isNumbers(datatype)))
    throw new AppError('model.package_invalid', {
      message: 'The classifier gives no probabilities as a tensor; export it with zipmap=False.',
    });
  return { name: logitsOutput(signature), isProbabilities: false };
}

function probabilitiesOf({ dims: [records = 0, classes = 0], data }: OutputNumbers): Scores[] {
  for (let index = 0; index < data.length; index++) {
    const probability = data[index] ?? 0;
    if (probability < 0 || probability > 1 + ROUNDING) throw failed(`it gave the probability ${probability}`);
  }
  return Array.from({ length: records }, (_, record) =>
    Array.from({ length: classes }, (_each, index) => data[record * classes + index] ?? 0),
  );
}

/** One logit for two classes says how likely the second one is. */
function logitsScores(numbers: OutputNumbers, { isMultiLabel, labels }: ModelPackage): Scores[] {
  const isOneForTwo = numbers.dims[1] === 1 && labels.length === 2;
  const scores = scoresOf(numbers, isMultiLabel || isOneForTwo);
  return isOneForTwo ? scores.map((row) => [1 - (row[0] ?? 0), row[0] ?? 0]) : scores;
}

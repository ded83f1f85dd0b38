import { AppError } from '@weir/kernel';
import { LABEL_OUTPUT, SCORE_OUTPUT, type Parameters, type Tensor } from '@weir/open-inference';
import type { OutputNumbers } from './prepared-run.ts';
import { wholeNumberParameter } from './processed-input.ts';
import { bestFirst } from './ranking.ts';
import type { Signature } from './signature.ts';

/** The score of each class of one item, in the model's order. */
export type Scores = ArrayLike<number>;

/** Most labels in an answer, unless the request's parameter `top_k` asks for another number. */
const DEFAULT_TOP_LABELS = 10;
const MAX_TOP_LABELS = 1_000;

/**
 * How many labels the request asks for.
 *
 * @throws model.input_invalid when `top_k` is not a whole number that is allowed
 */
export function topLabels(parameters: Parameters): number {
  return wholeNumberParameter(parameters, 'top_k', { minimum: 1, maximum: MAX_TOP_LABELS, byDefault: DEFAULT_TOP_LABELS });
}

/**
 * The output of a classifier that holds its logits: `logits`, or the only one.
 *
 * @throws model.package_invalid when there is none of numbers
 */
export function logitsOutput(signature: Signature): string {
  const output =
    signature.outputs.find((candidate) => candidate.name === 'logits') ??
    (signature.outputs.length === 1 ? signature.outputs[0] : undefined);
  if (output === undefined || (output.datatype !== 'FP32' && output.datatype !== 'FP16'))
    throw new AppError('model.package_invalid', { message: 'A classifier needs the output "logits" in FP32 or FP16.' });
  return output.name;
}

/** The scores of each row of `logits [rows, classes]`: softmax, which adds up to 1, or sigmoid of each. */
export function scoresOf({ data, dims }: OutputNumbers, isMultiLabel: boolean): Scores[] {
  const [rows = 0, classes = 0] = dims;
  return Array.from({ length: rows }, (_, row) => rowScores(data, row * classes, classes, isMultiLabel));
}

function rowScores(logits: ArrayLike<number>, offset: number, classes: number, isMultiLabel: boolean): Scores {
  const scores = Float64Array.from({ length: classes }, (_, index) => logits[offset + index] ?? 0);
  if (isMultiLabel) return scores.map((logit) => 1 / (1 + Math.exp(-logit)));
  let greatest = -Infinity;
  for (const logit of scores) greatest = Math.max(greatest, logit);
  let sum = 0;
  for (let i = 0; i < classes; i++) {
    const power = Math.exp((scores[i] ?? 0) - greatest);
    scores[i] = power;
    sum += power;
  }
  return scores.map((score) => score / sum);
}

/**
 * The answer of a classification: `label` and `score`, both `[items, kept]`, best first.
 *
 * @param items scores of each item, all of the same number of classes
 * @param keep most labels of an item
 */
export function classificationOutputs(items: readonly Scores[], labels: readonly string[], keep: number): Tensor[] {
  const kept = Math.min(keep, items[0]?.length ?? 0);
  const names: string[] = [];
  const scores = new Float32Array(items.length * kept);
  for (const [item, row] of items.entries()) {
    for (const [rank, index] of bestFirst(row, kept).entries()) {
      names.push(labels[index] ?? `LABEL_${index}`);
      scores[item * kept + rank] = row[index] ?? 0;
    }
  }
  return [
    { name: LABEL_OUTPUT, datatype: 'BYTES', shape: [items.length, kept], data: names },
    { name: SCORE_OUTPUT, datatype: 'FP32', shape: [items.length, kept], data: scores },
  ];
}

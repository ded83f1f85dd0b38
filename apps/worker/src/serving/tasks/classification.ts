import { AppError } from '@weir/kernel';
import { LABEL_OUTPUT, SCORE_OUTPUT, type Tensor } from '@weir/open-inference';

/** How the numbers that a classifier gives become labels with scores. */
export interface ClassNames {
  /** In the model's order; may be shorter than the model's classes. */
  readonly labels: readonly string[];
  /** Each class for itself (sigmoid), or one of all (softmax). */
  readonly isMultiLabel: boolean;
}

/** Scores of one item from its logits; softmax adds up to 1. */
export function scoresOf(logits: ArrayLike<number>, isMultiLabel: boolean): Float64Array {
  const scores = Float64Array.from(logits);
  if (isMultiLabel) return scores.map((logit) => 1 / (1 + Math.exp(-logit)));
  let greatest = -Infinity;
  for (const logit of scores) greatest = Math.max(greatest, logit);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    scores[i] = Math.exp((scores[i] ?? 0) - greatest);
    sum += scores[i] ?? 0;
  }
  return scores.map((score) => score / sum);
}

/**
 * The answer of a classification: `label` and `score`, both [items, kept], best first.
 *
 * @param logits `[items, classes]` in row-major order
 * @throws model.failed when the model gave no numbers
 */
export function classificationOutputs(logits: ArrayLike<number>, items: number, names: ClassNames, keep: number): Tensor[] {
  const classes = logits.length / items;
  const kept = Math.min(keep, classes);
  const labels: string[] = [];
  const scores = new Float32Array(items * kept);
  for (let item = 0; item < items; item++) {
    const row = scoresOf(Array.prototype.slice.call(logits, item * classes, (item + 1) * classes), names.isMultiLabel);
    const order = Array.from(row.keys()).sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0) || a - b);
    for (let rank = 0; rank < kept; rank++) {
      const index = order[rank] ?? 0;
      const score = row[index] ?? Number.NaN;
      if (!Number.isFinite(score)) throw new AppError('model.failed', { message: 'The model gave no numbers for this input.' });
      labels.push(names.labels[index] ?? `LABEL_${index}`);
      scores[item * kept + rank] = score;
    }
  }
  return [
    { name: LABEL_OUTPUT, datatype: 'BYTES', shape: [items, kept], data: labels },
    { name: SCORE_OUTPUT, datatype: 'FP32', shape: [items, kept], data: scores },
  ];
}

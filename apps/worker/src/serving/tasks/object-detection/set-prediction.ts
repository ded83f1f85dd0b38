import type { ImageSize } from '../../model-package/image-preparation.ts';
import type { OutputNumbers } from '../prepared-run.ts';
import type { Turns } from '../turns.ts';
import type { Detection } from './boxes.ts';

/**
 * Detections of a network of the DETR kind: each of its queries stands for one thing or for none.
 *
 * With one class more than there are labels, the last one means that there is nothing, and a query is one of all (softmax: DETR,
 * YOLOS). With as many as labels each class stands for itself (sigmoid: RT-DETR, Deformable DETR).
 *
 * @param logits `[1, queries, classes]`
 * @param boxes `[1, queries, 4]`: middle, width and height, from 0 to 1
 * @param size what 1 means, in pixels of the input
 */
export async function detectionsOfQueries(
  logits: OutputNumbers,
  boxes: OutputNumbers,
  labelCount: number,
  threshold: number,
  size: ImageSize,
  turns: Turns,
): Promise<Detection[]> {
  const [, queries = 0, classes = 0] = logits.dims;
  const isOneOfAll = classes !== labelCount;
  const detections: Detection[] = [];
  for (let query = 0; query < queries; query++) {
    if (turns.isOver) await turns.next();
    const at = (offset: number): number => boxes.data[query * 4 + offset] ?? 0;
    const [x, y, width, height] = [
      at(0) * size.widthPixels,
      at(1) * size.heightPixels,
      at(2) * size.widthPixels,
      at(3) * size.heightPixels,
    ];
    const box = { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 };
    const scores = isOneOfAll ? likeliest(logits.data, query * classes, classes) : each(logits.data, query * classes, classes);
    for (const { label, score } of scores) if (score >= threshold) detections.push({ ...box, label, score });
  }
  return detections;
}

interface ClassScore {
  readonly label: number;
  readonly score: number;
}

/** The likeliest class but the last, by softmax of all. */
function likeliest(logits: ArrayLike<number>, offset: number, classes: number): readonly ClassScore[] {
  let greatest = -Infinity;
  for (let label = 0; label < classes; label++) greatest = Math.max(greatest, logits[offset + label] ?? 0);
  let [sum, label, highest] = [0, 0, -Infinity];
  for (let index = 0; index < classes; index++) {
    const logit = logits[offset + index] ?? 0;
    sum += Math.exp(logit - greatest);
    if (index === classes - 1 || logit <= highest) continue;
    highest = logit;
    label = index;
  }
  return [{ label, score: Math.exp(highest - greatest) / sum }];
}

function each(logits: ArrayLike<number>, offset: number, classes: number): readonly ClassScore[] {
  return Array.from({ length: classes }, (_, label) => ({ label, score: 1 / (1 + Math.exp(-(logits[offset + label] ?? 0))) }));
}

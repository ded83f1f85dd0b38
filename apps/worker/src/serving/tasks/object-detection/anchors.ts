import { failed, type OutputNumbers } from '../prepared-run.ts';
import type { Turns } from '../turns.ts';
import type { Detection } from './boxes.ts';

/** How a network of the YOLO kind writes down what it found. */
export interface AnchorLayout {
  /**
   * `classes`: middle, width, height, a score for each class (YOLOv8 and later). `objectness`: a score that there is anything stands
   * before them (YOLOv5, YOLOv7). `final`: left, top, right, bottom, score, class, without duplicates (YOLOv10 and later).
   */
  readonly kind: 'classes' | 'objectness' | 'final';
  /** Which axis of `[1, a, b]` has one place for each box. */
  readonly anchorAxis: 1 | 2;
}

/** Numbers of a box of the kind `final`. */
const FINAL_NUMBERS = 6;

/**
 * What the sizes of an output `[1, a, b]` mean.
 *
 * @param labelCount 0 where the package names no labels: then the longer axis is that of the boxes
 * @returns null when no layout has such sizes
 */
export function anchorLayout([, a, b]: readonly number[], labelCount: number): AnchorLayout | null {
  if (a === undefined || b === undefined) return null;
  if (labelCount === 0) {
    if (b === FINAL_NUMBERS && a > b) return { kind: 'final', anchorAxis: 1 };
    if (Math.min(a, b) <= 5) return null;
    return a < b ? { kind: 'classes', anchorAxis: 2 } : { kind: 'objectness', anchorAxis: 1 };
  }
  if (a === 4 + labelCount) return { kind: 'classes', anchorAxis: 2 };
  if (b === 5 + labelCount) return { kind: 'objectness', anchorAxis: 1 };
  if (b === 4 + labelCount) return { kind: 'classes', anchorAxis: 1 };
  if (b === FINAL_NUMBERS) return { kind: 'final', anchorAxis: 1 };
  if (a === 5 + labelCount) return { kind: 'objectness', anchorAxis: 2 };
  return null;
}

/**
 * Boxes of a network of the YOLO kind that score at least `threshold`, in pixels of the input. Many of the same thing, unless the
 * layout is `final`.
 *
 * @param output `[1, a, b]`
 * @throws model.failed when its sizes fit no layout
 */
export async function detectionsOfAnchors(
  output: OutputNumbers,
  labelCount: number,
  threshold: number,
  turns: Turns,
): Promise<{ readonly detections: Detection[]; readonly layout: AnchorLayout }> {
  const layout = anchorLayout(output.dims, labelCount);
  if (layout === null) throw failed(`the sizes ${output.dims.join(' × ')} of its output fit no way of writing down boxes`);
  const [, a = 0, b = 0] = output.dims;
  const { data } = output;
  const [anchors, numbers] = layout.anchorAxis === 1 ? [a, b] : [b, a];
  const [anchorStep, numberStep] = layout.anchorAxis === 1 ? [b, 1] : [1, b];
  const firstClass = layout.kind === 'objectness' ? 5 : 4;
  const detections: Detection[] = [];
  for (let anchor = 0; anchor < anchors; anchor++) {
    if (anchor % 64 === 0 && turns.isOver) await turns.next();
    const start = anchor * anchorStep;
    const at = (index: number): number => data[start + index * numberStep] ?? 0;
    if (layout.kind === 'final') {
      const [score, label] = [at(4), Math.round(at(5))];
      if (score >= threshold) detections.push({ label, score, left: at(0), top: at(1), right: at(2), bottom: at(3) });
      continue;
    }
    const objectness = layout.kind === 'objectness' ? at(4) : 1;
    if (objectness < threshold) continue;
    let [label, highest] = [0, -Infinity];
    for (let index = firstClass, place = start + firstClass * numberStep; index < numbers; index++, place += numberStep) {
      const value = data[place] ?? 0;
      if (value <= highest) continue;
      highest = value;
      label = index - firstClass;
    }
    const score = objectness * highest;
    if (score < threshold) continue;
    const [x, y, width, height] = [at(0), at(1), at(2), at(3)];
    detections.push({ label, score, left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 });
  }
  return { detections, layout };
}

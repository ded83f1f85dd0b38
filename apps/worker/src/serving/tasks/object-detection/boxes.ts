import type { Turns } from '../turns.ts';

/** One thing in a picture, with its edges in pixels. */
export interface Detection {
  /** Index of the class. */
  readonly label: number;
  readonly score: number;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Detections that are compared with each other: the most certain ones of a picture. */
const MAX_CANDIDATES = 3_000;
/** Detections in an answer for one picture. */
export const MAX_DETECTIONS = 300;

/** The most certain `count` detections, best first. */
export function best(detections: readonly Detection[], count: number): Detection[] {
  // Numbers are sorted many times faster than objects, of which there may be tens of thousands.
  const scores = Float64Array.from(detections, ({ score }) => score).sort();
  const least = scores[scores.length - count] ?? -Infinity;
  return detections
    .filter(({ score }) => score >= least)
    .sort((a, b) => b.score - a.score)
    .slice(0, count);
}

/**
 * Greedy non-maximum suppression, each class for itself: of detections that overlap by more than `overlap` (intersection over
 * union) the most certain one stays. Best first, at most `MAX_DETECTIONS`.
 */
export async function withoutDuplicates(detections: readonly Detection[], overlap: number, turns: Turns): Promise<Detection[]> {
  const kept: Detection[] = [];
  const byLabel = new Map<number, Detection[]>();
  for (const candidate of best(detections, MAX_CANDIDATES)) {
    if (turns.isOver) await turns.next();
    let others = byLabel.get(candidate.label);
    if (others === undefined) byLabel.set(candidate.label, (others = []));
    if (others.some((other) => intersectionOverUnion(candidate, other) > overlap)) continue;
    others.push(candidate);
    kept.push(candidate);
    if (kept.length === MAX_DETECTIONS) break;
  }
  return kept;
}

/** Shared area of two boxes by the area that both cover; 0 where they do not touch. */
export function intersectionOverUnion(a: Detection, b: Detection): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  const areas = (a.right - a.left) * (a.bottom - a.top) + (b.right - b.left) * (b.bottom - b.top);
  return shared / (areas - shared);
}

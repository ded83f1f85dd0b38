/**
 * Positions of the greatest scores, best first; of equal ones the first. Costs a look at each score and, for those that are
 * kept, a place in a list of at most `keep`: a catalogue of a million items does not have to be sorted.
 *
 * @param isLeftOut positions that are not to be ranked
 */
export function bestFirst(scores: ArrayLike<number>, keep: number, isLeftOut?: (position: number) => boolean): number[] {
  const best: number[] = [];
  for (let position = 0; position < scores.length; position++) {
    const score = scores[position] ?? 0;
    const least = best[best.length - 1];
    if (best.length === keep && (least === undefined || score <= (scores[least] ?? 0))) continue;
    if (isLeftOut?.(position) === true) continue;
    let low = 0;
    let high = best.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((scores[best[middle] ?? 0] ?? 0) >= score) low = middle + 1;
      else high = middle;
    }
    best.splice(low, 0, position);
    if (best.length > keep) best.pop();
  }
  return best;
}

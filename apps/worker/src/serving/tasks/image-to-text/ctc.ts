/** What stands before the first character in the network's classes: nothing is written here. */
const BLANK = 0;

/** One line as a recogniser reads it. */
export interface ReadLine {
  readonly text: string;
  /** Mean certainty of its characters; 0 when there are none. */
  readonly score: number;
}

/**
 * The likeliest text of a line by connectionist temporal classification (Graves et al., ICML 2006), step by step: what repeats is
 * one character, unless a blank stands between.
 *
 * @param probabilities `[steps, classes]`, each step adding up to 1
 * @param characters by class; the first one is the blank
 */
export function greedyText(probabilities: ArrayLike<number>, steps: number, characters: readonly string[]): ReadLine {
  const classes = characters.length;
  let text = '';
  let sum = 0;
  let count = 0;
  let before = BLANK;
  for (let step = 0; step < steps; step++) {
    let best = BLANK;
    let highest = -Infinity;
    for (let at = step * classes, index = 0; index < classes; index++, at++) {
      const probability = probabilities[at] ?? 0;
      if (probability > highest) {
        highest = probability;
        best = index;
      }
    }
    if (best !== BLANK && best !== before) {
      text += characters[best] ?? '';
      sum += highest;
      count++;
    }
    before = best;
  }
  return { text, score: count === 0 ? 0 : sum / count };
}

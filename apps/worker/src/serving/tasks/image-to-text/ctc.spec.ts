import { describe, expect, it } from 'vitest';
import { greedyText } from './ctc.ts';

const CHARACTERS = ['', 'a', 'b', ' '];

/** Steps at each of which one class is likely, the others share the rest. */
function steps(classes: readonly number[], certainty = 0.7): Float32Array {
  return Float32Array.from(classes.flatMap((best) => CHARACTERS.map((_, index) => (index === best ? certainty : (1 - certainty) / 3))));
}

const read = (classes: readonly number[], certainty?: number) => greedyText(steps(classes, certainty), classes.length, CHARACTERS);

describe('what a recogniser gives', () => {
  it('is one character where it repeats, two where a blank stands between', () => {
    expect(read([0, 1, 1, 1, 0, 0, 1, 2, 2, 0]).text).toBe('aab');
  });

  it('holds spaces like other characters', () => {
    expect(read([1, 3, 3, 2]).text).toBe('a b');
  });

  it('is as certain as its characters are on average, whatever the blanks between them are', () => {
    const probabilities = steps([0, 1, 0, 2], 0.97);
    probabilities.set([0.01, 0.01, 0.79, 0.19], 3 * CHARACTERS.length);
    const { text, score } = greedyText(probabilities, 4, CHARACTERS);
    expect(text).toBe('ab');
    expect(score).toBeCloseTo((0.97 + 0.79) / 2);
  });

  it('is nothing, for certain not text, where all is blank', () => {
    expect(read([0, 0, 0])).toEqual({ text: '', score: 0 });
    expect(read([])).toEqual({ text: '', score: 0 });
  });
});

import { describe, expect, it } from 'vitest';
import { classificationOutputs, scoresOf } from './classification.ts';

describe('scores of a classification', () => {
  it('add up to 1, also for logits that would overflow', () => {
    const scores = scoresOf([1000, 999, -1000], false);
    expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 12);
    expect(scores[0]).toBeCloseTo(0.731, 3);
  });

  it('stand for themselves when a model has several labels at once', () => {
    expect(Array.from(scoresOf([0, 100], true))).toEqual([0.5, 1]);
  });

  it('come best first, with the labels of the package, for every item of the call', () => {
    const [label, score] = classificationOutputs([0, 2, 1, 5, 0, 0], 2, { labels: ['a', 'b'], isMultiLabel: false }, 2);
    expect(label).toMatchObject({ name: 'label', shape: [2, 2], data: ['b', 'LABEL_2', 'a', 'b'] });
    expect(score?.shape).toEqual([2, 2]);
    expect(Number(score?.data[0])).toBeGreaterThan(Number(score?.data[1]));
  });

  it('that are no numbers are an error of the model', () => {
    expect(() => classificationOutputs([Number.NaN, 1], 1, { labels: [], isMultiLabel: false }, 2)).toThrowError(
      expect.objectContaining({ code: 'model.failed' }),
    );
  });
});

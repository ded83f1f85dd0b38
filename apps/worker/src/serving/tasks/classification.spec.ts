import { describe, expect, it } from 'vitest';
import { classificationOutputs, scoresOf, topLabels } from './classification.ts';

describe('scores of a classification', () => {
  it('add up to 1 for each item, also for logits that would overflow', () => {
    const [first, second] = scoresOf({ dims: [2, 3], data: [1000, 999, -1000, 0, 0, 0] }, false);
    expect(Array.from(first ?? []).reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 12);
    expect(first?.[0]).toBeCloseTo(0.731, 3);
    expect(second?.[0]).toBeCloseTo(1 / 3, 12);
  });

  it('stand for themselves when a model has several labels at once', () => {
    expect(scoresOf({ dims: [1, 2], data: [0, 100] }, true).map((row) => Array.from(row))).toEqual([[0.5, 1]]);
  });

  it('come best first, with the labels of the package, for every item of the call', () => {
    const [label, score] = classificationOutputs(
      [
        [0.1, 0.7, 0.2],
        [0.8, 0.1, 0.1],
      ],
      ['a', 'b'],
      2,
    );
    expect(label).toEqual({ name: 'label', datatype: 'BYTES', shape: [2, 2], data: ['b', 'LABEL_2', 'a', 'b'] });
    expect(score).toMatchObject({ datatype: 'FP32', shape: [2, 2], data: Float32Array.of(0.7, 0.2, 0.8, 0.1) });
  });

  it.each([[0], [1_001], [1.5], ['2'], [Number.NaN]])('are not given for %j labels', (topK) => {
    expect(() => topLabels({ top_k: topK })).toThrowError(
      expect.objectContaining({ code: 'model.input_invalid', field: 'parameters.top_k' }),
    );
  });
});

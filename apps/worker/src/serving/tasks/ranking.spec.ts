import { describe, expect, it } from 'vitest';
import { bestFirst } from './ranking.ts';

describe('the best of many scores', () => {
  it('are those that sorting all of them would put first, whatever their order', () => {
    const scores = Array.from({ length: 500 }, (_, index) => ((index * 7919) % 101) / 7);
    const sorted = scores.map((_, index) => index).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
    for (const keep of [1, 3, 100, 500, 1_000]) expect(bestFirst(scores, keep)).toEqual(sorted.slice(0, keep));
  });

  it('leave out what is not to be ranked, and may be fewer then', () => {
    expect(bestFirst([5, 4, 3, 2], 2, (position) => position === 0)).toEqual([1, 2]);
    expect(bestFirst([5, 4, 3], 10, (position) => position !== 2)).toEqual([2]);
    expect(bestFirst([], 3)).toEqual([]);
  });
});

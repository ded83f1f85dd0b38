import { describe, expect, it } from 'vitest';
import { Suspects } from './suspects.ts';

const MINUTE_MS = 60_000;

describe('when a process ends by itself', () => {
  it('all that was running is watched apart, and nobody is given up for a neighbour', () => {
    const suspects = new Suspects();
    for (let i = 0; i < 10; i++) suspects.crashed(['a', 'b'], 0);
    expect([suspects.isSuspect('a'), suspects.isSuspect('b'), suspects.isSuspect('c')]).toEqual([true, true, false]);
    expect([suspects.isGivenUp('a'), suspects.isGivenUp('b')]).toEqual([false, false]);
  });

  it('what crashes alone three times in ten minutes is given up', () => {
    const suspects = new Suspects();
    for (const minute of [0, 4, 9]) suspects.crashed(['a'], minute * MINUTE_MS);
    expect(suspects.isGivenUp('a')).toBe(true);
  });

  it('what crashes now and then is not, and what is taken away begins anew', () => {
    const suspects = new Suspects();
    for (const minute of [0, 8, 16, 24]) suspects.crashed(['a'], minute * MINUTE_MS);
    expect(suspects.isGivenUp('a')).toBe(false);
    for (let i = 0; i < 3; i++) suspects.crashed(['a'], 30 * MINUTE_MS);
    suspects.forget('a');
    expect([suspects.isGivenUp('a'), suspects.isSuspect('a')]).toEqual([false, false]);
  });
});

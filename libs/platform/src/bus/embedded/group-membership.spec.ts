import { expect, it } from 'vitest';
import { shareOf } from './group-membership.ts';

it('shares add up to all partitions, differ by at most one, and the rest does not always go to the same member', () => {
  for (const members of [1, 2, 3, 5, 9]) {
    const names = Array.from({ length: members }, (_, n) => `member ${n}`);
    for (const partitions of [0, 1, 4, 8]) {
      const turns = [0, 1, 2].map((turn) => names.map((name) => shareOf(name, names, partitions, turn)));
      for (const shares of turns) {
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(partitions);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }
      if (partitions % members !== 0) expect(turns[0]).not.toEqual(turns[1]);
    }
  }
});

it('a member that does not read a topic has no share of it', () => {
  expect(shareOf('other', ['member'], 4, 0)).toBe(0);
});

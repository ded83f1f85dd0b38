import { describe, expect, it } from 'vitest';
import { decide, delayMs, type SignInHistory } from './sign-in-delay.ts';

const NOW = 1_000_000;
const history = (changes: Partial<SignInHistory> = {}): SignInHistory => ({
  source: null,
  accountFailures: 0,
  networkFailures: 0,
  ...changes,
});

describe('the delay after failures', () => {
  it.each([
    ['source', 9, 0],
    ['source', 10, 1_000],
    ['source', 13, 8_000],
    ['source', 60, 900_000],
    ['account', 19, 0],
    ['account', 20, 1_000],
    ['account', 2_000, 300_000],
    ['network', 99, 0],
    ['network', 100, 1_000],
    ['network', 100_000, 60_000],
  ] as const)('of one %s after %i failures is %i ms', (scope, failures, expected) => {
    expect(delayMs(scope, failures)).toBe(expected);
  });
});

describe('an attempt', () => {
  it('of a source without failures is admitted at once, and so is its next one', () => {
    expect(decide(history(), false, NOW)).toEqual({ isAdmitted: true, notBeforeMs: NOW });
  });

  it('that comes before the delay of the own failures is refused, from a known device too, and does not prolong the delay', () => {
    const early = history({ source: { failures: 12, notBeforeMs: NOW + 1 } });
    for (const isKnownDevice of [false, true]) {
      expect(decide(early, isKnownDevice, NOW)).toEqual({ isAdmitted: false, notBeforeMs: NOW + 1 });
      expect(decide(early, isKnownDevice, NOW + 1)).toEqual({ isAdmitted: true, notBeforeMs: NOW + 1 + 8_000 });
    }
  });

  it.each([
    ['the account from other networks', history({ accountFailures: 1_000 }), 300_000],
    ['others in the network', history({ networkFailures: 1_000 }), 60_000],
  ])('from a new device waits once for failures of %s, and is admitted then although they go on', (_, attacked, waitMs) => {
    const first = decide(attacked, false, NOW);
    expect(first).toEqual({ isAdmitted: false, notBeforeMs: NOW + waitMs });
    const waited: SignInHistory = {
      source: { failures: 0, notBeforeMs: first.notBeforeMs },
      accountFailures: attacked.accountFailures * 10,
      networkFailures: attacked.networkFailures * 10,
    };
    expect(decide(waited, false, first.notBeforeMs).isAdmitted).toBe(true);
  });

  it('from a known device is admitted whatever others failed', () => {
    const attacked = history({ accountFailures: 1_000_000, networkFailures: 1_000_000 });
    expect(decide(attacked, true, NOW)).toEqual({ isAdmitted: true, notBeforeMs: NOW });
  });
});

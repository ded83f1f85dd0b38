import { expect, test } from 'vitest';
import { RestartPolicy } from './restart-policy.ts';

test('a process that dies again and again is restarted with pauses that double from 0.5 s up to 15 s', () => {
  const policy = new RestartPolicy();
  const pauses = Array.from({ length: 7 }, (_, index) => policy.afterDeath(index * 30_000, 20_000));
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000].map((delayMs) => ({ kind: 'restart', delayMs })));
});

test('a process that had run for a minute is restarted without a long pause', () => {
  const policy = new RestartPolicy();
  for (let index = 0; index < 4; index++) policy.afterDeath(index * 30_000, 20_000);
  expect(policy.afterDeath(500_000, 60_000)).toEqual({ kind: 'restart', delayMs: 500 });
});

test('five fast deaths within a minute are the end', () => {
  const policy = new RestartPolicy();
  for (let index = 0; index < 4; index++) expect(policy.afterDeath(index * 5_000, 300).kind).toBe('restart');
  expect(policy.afterDeath(20_000, 300)).toEqual({ kind: 'give-up', deaths: 5 });
});

test('fast deaths that are far apart are not', () => {
  const policy = new RestartPolicy();
  for (let index = 0; index < 20; index++) expect(policy.afterDeath(index * 16_000, 300).kind).toBe('restart');
});

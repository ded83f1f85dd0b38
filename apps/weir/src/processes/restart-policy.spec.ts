import { expect, test } from 'vitest';
import { RestartPolicy } from './restart-policy.ts';

test('a process that keeps dying is restarted with delays that double from 0.5 s up to 30 s, without an end', () => {
  const policy = new RestartPolicy();
  const delays = Array.from({ length: 9 }, (_, index) => policy.afterDeath(index * 61_000, 20_000).delayMs);
  expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test('a process that had run for a minute is restarted without a long delay', () => {
  const policy = new RestartPolicy();
  for (let index = 0; index < 4; index++) policy.afterDeath(index * 30_000, 20_000);
  expect(policy.afterDeath(500_000, 60_000).delayMs).toBe(500);
});

test('fast deaths are counted over a minute', () => {
  const policy = new RestartPolicy();
  expect([0, 5_000, 10_000].map((atMs) => policy.afterDeath(atMs, 300).fastDeaths)).toEqual([1, 2, 3]);
  expect(policy.afterDeath(20_000, 15_000).fastDeaths).toBe(3);
  expect(policy.afterDeath(64_900, 300).fastDeaths).toBe(3);
});

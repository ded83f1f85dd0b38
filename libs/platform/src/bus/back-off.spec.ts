import { expect, it } from 'vitest';
import { BackOff, pause } from './back-off.ts';

it('waits grow, with jitter, up to their bound, and start over after a success', () => {
  const backOff = new BackOff({ firstMs: 100, maxMs: 1_000 });
  for (const fullMs of [100, 200, 400, 800, 1_000, 1_000]) {
    const waitMs = backOff.nextMs();
    expect(waitMs).toBeGreaterThanOrEqual(fullMs / 2);
    expect(waitMs).toBeLessThanOrEqual(fullMs);
  }
  backOff.reset();
  expect(backOff.nextMs()).toBeLessThanOrEqual(100);
});

it('a pause ends at once when it is aborted', async () => {
  await pause(60_000, AbortSignal.abort());
});

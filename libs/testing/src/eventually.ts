import { setTimeout as delay } from 'node:timers/promises';

const DEFAULT_TIMEOUT_MS = 15_000;

export interface EventuallyOptions {
  /** Give up after this long; default 15,000: a busy machine is no failure. */
  readonly timeoutMs?: number;
  /** Between two looks; default 20. */
  readonly intervalMs?: number;
}

/**
 * Looks until `condition` gives something other than false, null or undefined, and returns it. An assertion that throws counts as
 * "not yet".
 *
 * @throws the last error, or a timeout that says how long was waited
 */
export async function eventually<T>(condition: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<NonNullable<T>> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    try {
      const result = await condition();
      if (result !== false && result !== null && result !== undefined) return result;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadlineMs) throw failure ?? new Error(`it did not come true within ${timeoutMs} ms`);
    await delay(options.intervalMs ?? 20);
  }
}

import { setTimeout as delay } from 'node:timers/promises';

/**
 * What `work` comes to, or what `late` gives or throws when that takes longer than `timeoutMs`. The work itself goes on; what it comes
 * to then is of no interest.
 */
export async function within<T>(timeoutMs: number, work: Promise<T>, late: () => T): Promise<T> {
  const settled = new AbortController();
  try {
    return await Promise.race([work, delay(timeoutMs, undefined, { signal: settled.signal }).then(late)]);
  } finally {
    settled.abort();
  }
}

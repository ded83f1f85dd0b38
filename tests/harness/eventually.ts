import { setTimeout as sleep } from 'node:timers/promises';

/** Tries until `attempt` passes; after `timeoutMs` its last error is thrown. */
export async function eventually<T>(attempt: () => Promise<T> | T, timeoutMs = 60_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

import { eventually as untilItHolds } from '@weir/testing';

/** A running platform takes its time, and each look costs it some. */
const TIMEOUT_MS = 60_000;
const INTERVAL_MS = 100;

/** Tries until `attempt` passes, whatever it gives; after `timeoutMs` its last error is thrown. */
export async function eventually<T>(attempt: () => Promise<T> | T, timeoutMs = TIMEOUT_MS): Promise<T> {
  const passed = await untilItHolds(async () => ({ result: await attempt() }), { timeoutMs, intervalMs: INTERVAL_MS });
  return passed.result;
}

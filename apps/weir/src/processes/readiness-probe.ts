import { setTimeout as sleep } from 'node:timers/promises';

const PROBE_TIMEOUT_MS = 2_500;
const PAUSE_MS = 100;

/**
 * Waits until `url` answers 200.
 *
 * @returns false when that did not happen within `timeoutMs`
 * @throws AbortError when `signal` is aborted
 */
export async function becomesReady(url: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(PAUSE_MS, undefined, { signal })) {
    if (await isReady(url, signal)) return true;
  }
  return false;
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    // Not listening yet.
    return false;
  }
}

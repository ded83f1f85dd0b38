import { setTimeout as sleep } from 'node:timers/promises';

const PROBE_TIMEOUT_MS = 2_500;
const PAUSE_MS = 100;
/** Probes in a row without an answer that make a process frozen: one may fail because the machine was suspended meanwhile. */
const FAILED_PROBES = 4;

/**
 * Waits until `url` answers 200.
 *
 * @returns false when that did not happen within `timeoutMs`
 * @throws AbortError when `signal` is aborted
 */
export async function becomesReady(url: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(PAUSE_MS, undefined, { signal })) {
    if (await answers(url, PROBE_TIMEOUT_MS, signal)) return true;
  }
  return false;
}

/**
 * Probes `url` for as long as it answers 200, and resolves when it has not for `timeoutMs`.
 *
 * @throws AbortError when `signal` is aborted
 */
export async function becomesUnresponsive(url: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const periodMs = timeoutMs / FAILED_PROBES;
  for (let failures = 0; failures < FAILED_PROBES;) {
    const startedAtMs = performance.now();
    failures = (await answers(url, periodMs, signal)) ? 0 : failures + 1;
    await sleep(Math.max(0, startedAtMs + periodMs - performance.now()), undefined, { signal });
  }
}

async function answers(url: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    // Not listening, or frozen.
    return false;
  }
}

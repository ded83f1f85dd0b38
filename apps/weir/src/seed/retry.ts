import { setTimeout as sleep } from 'node:timers/promises';
import { GraphError } from './graph-client.ts';

const PAUSE_MS = 200;

/**
 * What passes by itself while the platform starts: a service that is not there yet, or one whose
 * projections do not hold yet what was just written elsewhere.
 */
const PASSING = new Set([
  'service.unavailable',
  'service.starting',
  'auth.invalid',
  'auth.internal_token',
  'worker.unreachable',
  'request.timeout',
]);

/** Repeats a call that may be repeated, while it fails for a reason that passes. */
export async function whileItPasses<T>(timeoutMs: number, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(PAUSE_MS, undefined, { signal })) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (Date.now() > deadline || !passes(error)) throw error;
    }
  }
}

function passes(error: unknown): boolean {
  if (error instanceof GraphError) return PASSING.has(error.code);
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'UND_ERR_SOCKET' || code === 'UND_ERR_HEADERS_TIMEOUT';
}

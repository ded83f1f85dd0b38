import type { ServerResponse } from 'node:http';
import { AppError } from '@weir/kernel';
import { timeoutMsOf as callerTimeoutMsOf } from '@weir/open-inference';

/** How long a caller waits: what its header says, at most `longestMs`; without one `defaultMs`. */
export function timeoutMsOf(header: string | string[] | undefined, defaultMs: number, longestMs: number): number {
  return Math.min(callerTimeoutMsOf(header) ?? defaultMs, longestMs);
}

/**
 * Runs `work` with a signal that is aborted when the time is up (`request.timeout`), or when the caller has disconnected or
 * `cancel` is called (`request.cancelled`).
 */
export async function withDeadline<T>(
  response: ServerResponse,
  timeoutMs: number,
  work: (signal: AbortSignal, cancel: () => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new AppError('request.timeout', { message: `The call took longer than its ${timeoutMs} ms.` })),
    timeoutMs,
  );
  const cancel = (): void => controller.abort(new AppError('request.cancelled'));
  const onClose = (): void => {
    if (!response.writableFinished) cancel();
  };
  response.once('close', onClose);
  try {
    return await work(controller.signal, cancel);
  } finally {
    clearTimeout(timer);
    response.off('close', onClose);
  }
}

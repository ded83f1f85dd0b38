import type { ServerResponse } from 'node:http';
import { AppError } from '@weir/kernel';
import { timeoutMsOf as callerTimeoutMsOf } from '@weir/open-inference';

/** How long a caller waits: what its header says, at most `longestMs`; without one `defaultMs`. */
export function timeoutMsOf(header: string | string[] | undefined, defaultMs: number, longestMs: number): number {
  return Math.min(callerTimeoutMsOf(header) ?? defaultMs, longestMs);
}

/** Runs `work` with a signal that is aborted when the time is up (`request.timeout`) or the caller has gone (`request.cancelled`). */
export async function withDeadline<T>(response: ServerResponse, timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new AppError('request.timeout', { message: `The call took longer than its ${timeoutMs} ms.` })),
    timeoutMs,
  );
  const onClose = (): void => {
    if (!response.writableFinished) controller.abort(new AppError('request.cancelled'));
  };
  response.once('close', onClose);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    response.off('close', onClose);
  }
}

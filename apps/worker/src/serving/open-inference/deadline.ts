import type { ServerResponse } from 'node:http';
import { AppError } from '@weir/kernel';

const WHOLE_NUMBER = /^\d{1,9}$/;

/** How long a caller waits: what its header says, at most `longestMs`; without one `defaultMs`. */
export function timeoutMsOf(header: string | string[] | undefined, defaultMs: number, longestMs: number): number {
  if (header === undefined) return Math.min(defaultMs, longestMs);
  if (typeof header !== 'string' || !WHOLE_NUMBER.test(header) || Number(header) < 1)
    throw new AppError('request.invalid', {
      field: 'x-weir-timeout-ms',
      message: 'The header x-weir-timeout-ms must be a whole number of milliseconds of at least 1.',
    });
  return Math.min(Number(header), longestMs);
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

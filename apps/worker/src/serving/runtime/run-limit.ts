import { AppError } from '@weir/kernel';

/** Limits and callbacks of the watch on a run. */
export interface RunWatch {
  readonly limits: { readonly runLimitMs: number };
  /** The process cannot be trusted any more. */
  readonly onHung: (reason: string) => void;
}

/** @throws model.failed when work in a thread takes longer than the limit; the thread goes on, because nothing can stop it */
export async function withinRunLimit<T>(options: RunWatch, what: string, work: Promise<T>): Promise<T> {
  const { runLimitMs } = options.limits;
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    options.onHung(`a ${what} took longer than ${runLimitMs} ms`);
    limit.reject(new AppError('model.failed', { message: `The model did not finish within ${runLimitMs} ms.` }));
  }, runLimitMs);
  try {
    return await Promise.race([work, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

import type { ServerResponse } from 'node:http';

/**
 * Whether the caller still waits. A narrower thing than an `AbortSignal`, which costs a call as much as recognising
 * its key does.
 */
export interface CallerPresence {
  readonly isGone: boolean;
  /**
   * Calls `listener` when the caller goes away before its answer.
   *
   * @returns stops listening
   */
  onGone(listener: () => void): () => void;
}

/** A caller of HTTP is gone when the connection closes before the answer is written. */
export function presenceOfResponse(response: ServerResponse): CallerPresence {
  return {
    get isGone() {
      return response.destroyed && !response.writableFinished;
    },
    onGone(listener) {
      const onClose = (): void => {
        if (!response.writableFinished) listener();
      };
      response.once('close', onClose);
      return () => response.off('close', onClose);
    },
  };
}

/** A caller whose departure a signal tells. */
export function presenceOfSignal(signal: AbortSignal): CallerPresence {
  return {
    get isGone() {
      return signal.aborted;
    },
    onGone(listener) {
      signal.addEventListener('abort', listener, { once: true });
      return () => signal.removeEventListener('abort', listener);
    },
  };
}

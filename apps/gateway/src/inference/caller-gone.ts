import type { ServerResponse } from 'node:http';

/** A signal that is aborted when the caller closes the connection before it has its answer. */
export function callerGone(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

import type { IncomingMessage } from 'node:http';
import { REQUEST_ID_HEADER } from '@weir/access';
import { requestContext, requestIdOf } from '@weir/platform/http';

const ids = new WeakMap<IncomingMessage, string>();

/**
 * The id of a request: the caller's `x-request-id` when it is a plain token, else a new UUID version 7. The same
 * on every call for the same request; it is echoed in the answer and travels through every hop.
 */
export function requestIdFor(request: IncomingMessage): string {
  const known = requestContext(request).requestId || ids.get(request);
  if (known !== undefined && known !== '') return known;
  const made = requestIdOf(request.headers[REQUEST_ID_HEADER]);
  ids.set(request, made);
  return made;
}

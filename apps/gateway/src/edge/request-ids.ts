import type { IncomingMessage } from 'node:http';
import { REQUEST_ID_HEADER } from '@weir/access';
import { requestContext, requestIdOf, setRequestContext } from '@weir/platform/http';

/**
 * The id of a request: the caller's `x-request-id` when it is a plain token, else a new UUID version 7. The same
 * on every call for the same request; it is echoed in the answer and travels through every hop.
 */
export function requestIdFor(request: IncomingMessage): string {
  const { requestId } = requestContext(request);
  if (requestId !== '') return requestId;
  const made = requestIdOf(request.headers[REQUEST_ID_HEADER]);
  setRequestContext(request, { requestId: made, principal: undefined, caller: undefined });
  return made;
}

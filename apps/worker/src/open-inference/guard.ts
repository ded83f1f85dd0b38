import {
  authorise,
  isOperator,
  INTERNAL_TOKEN_HEADER,
  REQUEST_ID_HEADER,
  type InternalTokenVerifier,
  type VerifiedInternalToken,
} from '@weir/access';
import { AppError } from '@weir/kernel';
import { inRequest } from '@weir/platform/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** What the guard learned about a request. */
export interface Guarded {
  readonly requestId: string;
  readonly token: VerifiedInternalToken;
}

/** The same whether the version is another tenant's or does not exist. */
export const NOT_FOUND = 'This worker has no such model or version.';

const GUARDED = Symbol('weir.guarded');

/** Refuses every request without a valid internal token for a worker. */
export function guard(verifier: InternalTokenVerifier, request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  const header = request.headers[INTERNAL_TOKEN_HEADER];
  const token = typeof header === 'string' ? header : undefined;
  const id = request.headers[REQUEST_ID_HEADER];
  const requestId = typeof id === 'string' ? id : '';
  if (requestId !== '') void reply.header(REQUEST_ID_HEADER, requestId);
  const admit = (verified: VerifiedInternalToken): void => {
    Object.assign(request.raw, { [GUARDED]: { requestId, token: verified } satisfies Guarded });
    inRequest(requestId, done);
  };
  const known = token === undefined ? null : verifier.cached(token);
  if (known !== null) admit(known);
  else verifier.verify(token).then(admit, done);
}

/** @throws auth.internal_token when the guard has not seen the request */
export function guardedOf(request: FastifyRequest): Guarded {
  const guarded = (request.raw as typeof request.raw & { [GUARDED]?: Guarded })[GUARDED];
  if (guarded === undefined) throw new AppError('auth.internal_token');
  return guarded;
}

/** Whose calls of a version are taken. */
export interface Audience {
  readonly ownerTenantId: string;
  /** Undefined: not known, see the contract of placements; the gateway's check is the only one then. */
  readonly visibility: 'public' | 'private' | undefined;
}

/** @throws model.not_found when the version is another tenant's and private, for all but operators */
export function assertMayUse(request: FastifyRequest, { ownerTenantId, visibility }: Audience): void {
  const { principal } = guardedOf(request).token;
  if (visibility !== 'private' || principal.tenantId === ownerTenantId || isOperator(principal)) return;
  throw new AppError('model.not_found', { message: NOT_FOUND });
}

/** @throws access.forbidden when the request is not an operator's */
export function assertOperator(request: FastifyRequest): void {
  authorise(guardedOf(request).token.principal, 'operator');
}

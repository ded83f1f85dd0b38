import type { IncomingMessage } from 'node:http';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import type { FastifyRequest } from 'fastify';

/** What the guard of the port learned about a request. */
export interface RequestContext {
  readonly requestId: string;
  /** Who asks; undefined where a public port lets an anonymous request through. */
  readonly principal: Principal | undefined;
  /** The service that called, on an internal port. */
  readonly caller: string | undefined;
}

/** Where a context is kept: on Node's request itself. A WeakMap would do, but costs the garbage collector a tenth of a small call. */
const CONTEXT = Symbol('weir.request-context');

interface Carrier {
  [CONTEXT]?: RequestContext;
}

const NOBODY: RequestContext = { requestId: '', principal: undefined, caller: undefined };

/** Ties the context to a request: Fastify's and Node's, which GraphQL and sockets see, are the same here. */
export function setRequestContext(request: FastifyRequest | IncomingMessage, value: RequestContext): void {
  carrierOf(request)[CONTEXT] = value;
}

/** The context of a request that passed the port's guard; before that, one without an id. */
export function requestContext(request: FastifyRequest | IncomingMessage): RequestContext {
  return carrierOf(request)[CONTEXT] ?? NOBODY;
}

function carrierOf(request: FastifyRequest | IncomingMessage): Carrier {
  return ('raw' in request ? request.raw : request) as IncomingMessage & Carrier;
}

/** A GraphQL context that this platform's driver makes carries the request's own. */
interface HasPrincipal {
  readonly principal?: Principal;
}

/**
 * The principal of the request, in resolvers and controllers.
 *
 * @throws auth.required when there is none
 */
export const CurrentPrincipal = createParamDecorator((_: unknown, execution: ExecutionContext): Principal => {
  const principal =
    execution.getType<'http' | 'graphql'>() === 'graphql'
      ? execution.getArgByIndex<HasPrincipal>(2)?.principal
      : requestContext(execution.switchToHttp().getRequest<FastifyRequest>()).principal;
  if (principal === undefined) throw new AppError('auth.required');
  return principal;
});

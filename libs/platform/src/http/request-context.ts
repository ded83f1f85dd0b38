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

const contexts = new WeakMap<object, RequestContext>();

/** Ties the context to Fastify's request (and to Node's, which GraphQL and sockets see). */
export function setRequestContext(request: FastifyRequest, value: RequestContext): void {
  contexts.set(request, value);
  contexts.set(request.raw, value);
}

/** The context of a Fastify or Node request that passed the port's guard. */
export function requestContext(request: object): RequestContext {
  return contexts.get(request) ?? { requestId: '', principal: undefined, caller: undefined };
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
      ? (execution.getArgByIndex<HasPrincipal>(2)?.principal)
      : requestContext(execution.switchToHttp().getRequest<FastifyRequest>()).principal;
  if (principal === undefined) throw new AppError('auth.required');
  return principal;
});

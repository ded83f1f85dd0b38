import type { Socket } from 'node:net';
import { AppError } from '@weir/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorBody, requestContext, requestIdOf, sendError } from '../http/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { isOpenPath } from './http-surface.ts';
import type { Readiness } from './readiness.ts';

/** Answers what is no HTTP, in the shape of every other error, and hangs up. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  // Node.js has hung up already.
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, refusal] = refusalOf(error.code);
  if (socket.writable) {
    const body = JSON.stringify(errorBody(refusal, requestIdOf(undefined)));
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroy(error);
}

function refusalOf(code: string | undefined): [status: string, error: AppError] {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', new AppError('request.timeout', { message: 'The request did not arrive in time.' })];
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', new AppError('request.too_large', { message: 'The headers are too large.' })];
    default:
      return ['400 Bad Request', new AppError('request.invalid', { message: 'This is not a valid HTTP/1.1 request.' })];
  }
}

/** Answers an address that Fastify cannot read (`%` without two digits, too long a name), which meets no hook and no route. */
export function refuseBadAddress(logger: Logger): (error: Error, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => sendError(reply, error, requestContext(request).requestId || requestIdOf(undefined), logger);
}

/** When another process of the service is worth asking. */
const STOPPING_RETRY_MS = 1_000;

/**
 * Refuses what arrives while the process stops, on connections that were open before, with `service.stopping`. Health goes on telling
 * that the process lives and is not ready. In `preParsing`, after every hook that names the request and recognises its caller, so that
 * each surface answers in its own shape.
 */
export function refuseWhileStopping(fastify: FastifyInstance, readiness: Readiness): void {
  fastify.addHook('preParsing', (request, reply, _payload, done) => {
    if (!readiness.isDraining || isOpenPath(request.url)) done();
    else {
      void reply.header('connection', 'close');
      done(new AppError('service.stopping', { retryAfterMs: STOPPING_RETRY_MS }));
    }
  });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route unpacks compressed bodies itself, within a bound. */
    unpacksBodies?: boolean;
  }
}

/** `config` of a route that unpacks compressed bodies itself, within a bound. */
export const UNPACKS_BODIES = { unpacksBodies: true } as const;

/** Refuses compressed bodies where the route does not unpack them: what is packed small may be endless. */
export function refuseCompressedBodies(fastify: FastifyInstance): void {
  fastify.addHook('preParsing', (request, _reply, _payload, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity' || request.routeOptions.config.unpacksBodies === true) done();
    else
      done(new AppError('request.unsupported_media_type', { message: 'A compressed body is not read: send it without content-encoding.' }));
  });
}

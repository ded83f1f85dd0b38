import { Transform, type Readable } from 'node:stream';
import { AppError, toAppError } from '@weir/kernel';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Authenticator } from './authenticator.ts';

/** Largest body of a request whose caller is not known: a sign-in form or a GraphQL document without a credential has less. */
export const MAX_ANONYMOUS_BODY_BYTES = 16_384;

/**
 * Recognises the caller of a large body before it is read, by the headers: without a valid credential nothing above
 * `MAX_ANONYMOUS_BODY_BYTES` is kept in memory or parsed. Small bodies are not asked for: the handler recognises their caller.
 *
 * @param maxBodyBytes largest body of anybody: a refused one up to here is read and dropped, so that its sender gets the answer; of a
 * larger one the connection is closed
 */
export function boundAnonymousBodies(fastify: FastifyInstance, authenticator: Pick<Authenticator, 'identify'>, maxBodyBytes: number): void {
  fastify.addHook('preParsing', (request, reply, payload, done) => {
    const length = announcedLength(request);
    if (length <= MAX_ANONYMOUS_BODY_BYTES) {
      done(null, payload);
      return;
    }
    const decide = (refusal: AppError | null): void => {
      if (length > maxBodyBytes && Number.isFinite(length)) void reply.header('connection', 'close');
      if (refusal === null) done(null, payload);
      else if (length === Infinity) done(null, bounded(payload, refusal));
      else done(refusal);
    };
    void refusalOf(request, authenticator).then(decide);
  });
}

/** Bytes that the body has by its header; Infinity when it comes in chunks, 0 when there is none. */
function announcedLength({ headers }: FastifyRequest): number {
  if (headers['transfer-encoding'] !== undefined) return Infinity;
  return Number(headers['content-length'] ?? 0);
}

/** Why the caller may not send a large body; null when it may. */
async function refusalOf(request: FastifyRequest, authenticator: Pick<Authenticator, 'identify'>): Promise<AppError | null> {
  try {
    if ((await authenticator.identify(request.raw)) !== null) return null;
    return new AppError('request.too_large', { message: `Without a credential a body may have ${MAX_ANONYMOUS_BODY_BYTES} bytes.` });
  } catch (error) {
    return toAppError(error);
  }
}

/** The body up to the limit; above it, its stream fails with the refusal. */
function bounded(payload: Readable, refusal: AppError): Transform {
  let received = 0;
  const stream = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      received += chunk.length;
      if (received > MAX_ANONYMOUS_BODY_BYTES) done(refusal);
      else done(null, chunk);
    },
  });
  // `pipe` does not pass on that the client disconnected; `pipeline` would destroy the connection before the refusal is answered.
  payload.once('error', (error) => stream.destroy(error));
  return payload.pipe(stream);
}

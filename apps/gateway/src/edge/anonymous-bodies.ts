import { Transform } from 'node:stream';
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
  fastify.addHook('preParsing', async (request, reply, payload) => {
    const length = announcedLength(request);
    if (length <= MAX_ANONYMOUS_BODY_BYTES) return payload;
    const refusal = await refusalOf(request, authenticator);
    if (refusal === null) return payload;
    if (length > maxBodyBytes) void reply.header('connection', 'close');
    if (Number.isFinite(length)) throw refusal;
    return payload.pipe(boundedBy(refusal));
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

function boundedBy(refusal: AppError): Transform {
  let received = 0;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      received += chunk.length;
      if (received > MAX_ANONYMOUS_BODY_BYTES) done(refusal);
      else done(null, chunk);
    },
  });
}

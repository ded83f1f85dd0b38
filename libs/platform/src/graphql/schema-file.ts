import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { lexicographicSortSchema, printSchema, type GraphQLSchema } from 'graphql';

/** How long a client may use its copy before it asks whether it is current: the schema changes with a release. */
const MAX_AGE_SECONDS = 300;

/**
 * Serves the schema in the schema definition language, for code generators and for who has no credential: it is printed, compressed
 * and named by its digest once, so that a request costs a copy of bytes, or 304.
 */
export function mountSchemaFile(fastify: FastifyInstance, schema: GraphQLSchema, path: string): void {
  const sdl = Buffer.from(`${printSchema(lexicographicSortSchema(schema))}\n`);
  const compressed = gzipSync(sdl, { level: 9 });
  const digest = createHash('sha256').update(sdl).digest('base64url');
  // An entity tag names one representation, encoding included (RFC 9110, 8.8.3.3).
  const [etag, etagOfCompressed] = [`"${digest}"`, `"${digest}-gzip"`];
  fastify.get(path, (request, reply) => {
    const isCompressed = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/i.test(String(request.headers['accept-encoding'] ?? ''));
    const tag = isCompressed ? etagOfCompressed : etag;
    void reply.headers({ etag: tag, vary: 'accept-encoding', 'cache-control': `public, max-age=${MAX_AGE_SECONDS}` });
    const known = String(request.headers['if-none-match'] ?? '');
    if (known === '*' || known.split(',').some((one) => one.trim().replace(/^W\//, '') === tag)) return reply.status(304).send();
    return reply
      .headers({ 'content-type': 'application/graphql; charset=utf-8', ...(isCompressed ? { 'content-encoding': 'gzip' } : {}) })
      .send(isCompressed ? compressed : sdl);
  });
}

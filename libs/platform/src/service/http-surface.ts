import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER, type InternalTokenVerifier } from '@weir/access';
import type { FastifyInstance } from 'fastify';
import { SpanKind, trace, context as otelContext } from '@opentelemetry/api';
import { requestIdOf, sendError, setRequestContext } from '../http/index.ts';
import { addedUp, httpRequestHistogram, inRequest, inSpan, isTracingEnabled, type Logger, type Registry } from '../telemetry/index.ts';
import type { Readiness } from './readiness.ts';

/**
 * `/health/live`: the process responds. `/health/ready`: it can take traffic; 503 with the failed checks otherwise. With `?verbose`,
 * where it is not public, each check with its state and detail: `degraded` is ready, with something late or stuck behind it.
 */
export function mountHealth(fastify: FastifyInstance, readiness: Readiness, options: { readonly isPublic?: boolean } = {}): void {
  fastify.get('/health/live', async () => ({ status: 'live' }));
  fastify.get<{ Querystring: { readonly verbose?: string } }>('/health/ready', async (request, reply) => {
    const { isReady, isDegraded, checks } = await readiness.report();
    const isVerbose = request.query.verbose !== undefined && options.isPublic !== true;
    const passed = Object.fromEntries(Object.entries(checks).map(([name, { state }]) => [name, state !== 'failed']));
    return reply.status(isReady ? 200 : 503).send({
      status: !isReady ? 'not ready' : isVerbose && isDegraded ? 'degraded' : 'ready',
      checks: isVerbose ? checks : passed,
    });
  });
}

/** `/metrics` in Prometheus' text format. */
export function mountMetrics(fastify: FastifyInstance, metrics: Registry, more?: () => Promise<readonly unknown[]>): void {
  fastify.get('/metrics', async (_, reply) => {
    const all = more === undefined ? metrics : addedUp([await metrics.getMetricsAsJSON(), ...(await more())]);
    return reply.type(metrics.contentType).send(await all.metrics());
  });
}

/** Times every request by its route pattern. */
export function timeRequests(fastify: FastifyInstance, metrics: Registry): void {
  const histogram = httpRequestHistogram(metrics);
  // Looking a series up by its labels costs more than counting in it. There are as many as routes and statuses.
  const series = new Map<string, ReturnType<typeof histogram.labels>>();
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    const key = `${request.method} ${reply.statusCode} ${route}`;
    let one = series.get(key);
    if (one === undefined) series.set(key, (one = histogram.labels({ method: request.method, route, status: String(reply.statusCode) })));
    one.observe(reply.elapsedTime / 1000);
    done();
  });
}

/** Continues the caller's trace: one span for the request, from its `traceparent`. Nothing when the process records no traces. */
export function traceRequests(fastify: FastifyInstance): void {
  if (!isTracingEnabled()) return;
  fastify.addHook('onRequest', (request, reply, done) => {
    const traceparent = request.headers.traceparent;
    const answered = new Promise<void>((resolve) => reply.raw.once('close', resolve));
    void inSpan(
      `${request.method} ${request.routeOptions.url ?? 'none'}`,
      { kind: SpanKind.SERVER, traceparent: typeof traceparent === 'string' ? traceparent : undefined },
      async (span) => {
        if (span !== undefined) otelContext.with(trace.setSpan(otelContext.active(), span), () => done());
        await answered;
        span?.setAttribute('http.response.status_code', reply.statusCode);
      },
    );
  });
}

const OPEN_PATHS = new Set(['/health/live', '/health/ready', '/metrics']);

/** Is this answered without a credential, and while the process stops? */
export function isOpenPath(url: string): boolean {
  return OPEN_PATHS.has(url.split('?', 1)[0] ?? '');
}

/** Refuses every request without a valid internal token for this service, except health and metrics. */
export function guardInternalPort(fastify: FastifyInstance, verifier: InternalTokenVerifier, logger: Logger): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    const requestId = requestIdOf(request.headers[REQUEST_ID_HEADER]);
    void reply.header(REQUEST_ID_HEADER, requestId);
    if (isOpenPath(request.url)) {
      done();
      return;
    }
    const header = request.headers[INTERNAL_TOKEN_HEADER];
    const token = typeof header === 'string' ? header : undefined;
    const admit = (known: { principal: Parameters<typeof setRequestContext>[1]['principal']; caller: string }): void => {
      setRequestContext(request, { requestId, principal: known.principal, caller: known.caller });
      inRequest(requestId, done);
    };
    const known = token === undefined ? null : verifier.cached(token);
    if (known !== null) {
      admit(known);
      return;
    }
    verifier.verify(token).then(admit, (error: unknown) => sendError(reply, error, requestId, logger));
  });
}

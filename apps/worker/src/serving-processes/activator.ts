import type { InternalTokenVerifier } from '@weir/access';
import { AppError } from '@weir/kernel';
import { TIMEOUT_HEADER } from '@weir/open-inference';
import { hangUpWhenAnswered } from '@weir/platform/fastify';
import type { Logger } from '@weir/platform/telemetry';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { timeoutMsOf, withDeadline } from '../open-inference/deadline.ts';
import { answerError } from '../open-inference/error-answer.ts';
import { assertOperator, guard } from '../open-inference/guard.ts';

/** Headers that are about a connection, not about what is sent over it (RFC 9110, section 7.6.1). */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

export interface ActivatorOptions {
  readonly host: string;
  readonly urlOf: (port: number) => string;
  readonly verifier: InternalTokenVerifier;
  readonly logger: Logger;
  /** Timeout of a call that names none, in milliseconds. */
  readonly defaultTimeoutMs: number;
  /** Upper bound on the timeout that a call may name, in milliseconds. */
  readonly longestTimeoutMs: number;
  /** Has the process of a version run, with the version in memory; returns its address. */
  readonly activate: (modelId: string, version: string | undefined) => Promise<string>;
  /** Versions whose process was stopped. */
  readonly stopped: () => readonly { readonly modelId: string; readonly version: string }[];
}

interface ModelParams {
  readonly model: string;
  readonly version?: string;
}

/**
 * Takes the calls of versions whose process was stopped to make room for another tenant's: has it started again, and
 * forwards the call as it came. Until the announcement of the new address has arrived, further calls come here too.
 */
export class Activator {
  readonly #options: ActivatorOptions;
  readonly #app: FastifyInstance;
  readonly #agent = new Agent();
  readonly #hangUp: ReturnType<typeof hangUpWhenAnswered>;

  constructor(options: ActivatorOptions) {
    this.#options = options;
    const { verifier, logger } = options;
    const app = fastify({ forceCloseConnections: 'idle', keepAliveTimeout: 72_000, routerOptions: { maxParamLength: 200 } });
    this.#hangUp = hangUpWhenAnswered(app);
    app.removeAllContentTypeParsers();
    // Bodies are passed on unread; the serving process checks them.
    app.addContentTypeParser('*', { bodyLimit: Number.MAX_SAFE_INTEGER }, (_, payload, done) => done(null, payload));
    app.setErrorHandler((error, _, reply) => answerError(reply, error, logger));
    app.setNotFoundHandler((_, reply) => answerError(reply, new AppError('request.not_found'), logger));
    app.addHook('onRequest', (request, reply, done) => guard(verifier, request, reply, done));
    for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
      app.get(path, (request: FastifyRequest<{ Params: ModelParams }>, reply) => this.#forward(request, reply));
      app.post(`${path}/infer`, (request: FastifyRequest<{ Params: ModelParams }>, reply) => this.#forward(request, reply));
      // It is started when it is called.
      app.get(`${path}/ready`, async ({ params }: FastifyRequest<{ Params: ModelParams }>) => ({ name: params.model, ready: true }));
      // A process that was stopped has counted nothing since; asking is no reason to start it.
      app.get(`${path}/stats`, async (request) => {
        assertOperator(request);
        return { model_stats: [] };
      });
    }
    app.post('/v2/repository/index', async (request) => {
      assertOperator(request);
      return options.stopped().map(({ modelId, version }) => ({ name: modelId, version, state: 'UNAVAILABLE', reason: 'unloaded' }));
    });
    app.post('/v2/repository/models/:model/load', (request: FastifyRequest<{ Params: ModelParams }>, reply) => {
      assertOperator(request);
      return this.#forward(request, reply);
    });
    app.post('/v2/repository/models/:model/unload', async (request, reply) => {
      assertOperator(request);
      return reply.status(200).send({});
    });
    this.#app = app;
  }

  /** @returns the address at which it takes calls */
  async listen(): Promise<string> {
    await this.#app.listen({ host: this.#options.host, port: 0 });
    return this.#options.urlOf((this.#app.server.address() as AddressInfo).port);
  }

  /** Refuses what is new, and resolves when what is in progress is answered. */
  async close(): Promise<void> {
    await this.#hangUp(() => this.#app.close());
    await this.#agent.close();
  }

  async #forward(request: FastifyRequest<{ Params: ModelParams }>, reply: FastifyReply): Promise<FastifyReply> {
    const { activate, defaultTimeoutMs, longestTimeoutMs } = this.#options;
    const { params, headers, method, body, raw } = request;
    const timeoutMs = timeoutMsOf(headers[TIMEOUT_HEADER], defaultTimeoutMs, longestTimeoutMs);
    return withDeadline(reply.raw, timeoutMs, async (signal) => {
      const url = await unlessAborted(activate(params.model, params.version), signal);
      const answer = await this.#agent
        .request({
          origin: url,
          path: raw.url ?? '/',
          method: method === 'GET' ? 'GET' : 'POST',
          headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !CONNECTION_HEADERS.has(name))),
          body: method === 'GET' ? null : (body as typeof raw),
          signal,
        })
        .catch((error: unknown) => {
          if (signal.aborted) throw signal.reason;
          throw new AppError('worker.unreachable', { cause: error });
        });
      for (const [name, value] of Object.entries(answer.headers))
        if (value !== undefined && !CONNECTION_HEADERS.has(name)) void reply.header(name, value);
      return reply.status(answer.statusCode).send(Buffer.from(await answer.body.arrayBuffer()));
    });
  }
}

/** Ends the wait, not the work: a start that no call awaits any more continues for the next calls. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

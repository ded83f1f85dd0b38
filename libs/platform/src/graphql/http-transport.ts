import { AppError, ERROR_KINDS, ERRORS, isErrorCode } from '@weir/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionArgs, ExecutionResult } from 'graphql';
import {
  createHandler,
  parseRequestParams,
  type OperationArgs,
  type Request as HttpRequest,
  type Response as HttpResponse,
} from 'graphql-http';
import { assertJsonDepth, errorHeaders, fromFrameworkError, reportError, requestContext } from '../http/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { GraphCaller, GraphContext, GraphContextFactory, GraphOrigin } from './graph-context.ts';
import { describeError, graphErrorOf } from './graph-errors.ts';
import type { GraphRunner, ReadyOperation } from './graph-runner.ts';

const RESPONSE_TYPE = 'application/graphql-response+json';
const NOT_ACCEPTABLE = `Answers are JSON: accept application/json or ${RESPONSE_TYPE}.`;

export interface HttpTransportOptions<C extends GraphCaller> {
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Who asks. What it throws is answered before anything is read of the document, with the error's HTTP status. */
  authenticate(request: FastifyRequest): C | Promise<C>;
  readonly createContext: GraphContextFactory<C>;
  /** Answers a browser that opens the address; without it such a request gets 406. */
  readonly page?: ((request: FastifyRequest, reply: FastifyReply) => void) | undefined;
  readonly logger: Logger;
}

type Req = HttpRequest<FastifyRequest, { readonly context: GraphContext }>;

/**
 * GraphQL over HTTP by `graphql-http`, in a Fastify scope of its own: bodies are read here and nowhere else,
 * so that forms, text and batches are refused in GraphQL's own words.
 */
export function mountHttp<C extends GraphCaller>(fastify: FastifyInstance, runner: GraphRunner, options: HttpTransportOptions<C>): void {
  const handle = createHandler<FastifyRequest, Req['context']>({
    parseRequestParams: async (request) => parseParams(request as Req),
    onSubscribe: (request, params) => {
      const own = (request as Req).context;
      const ready = runner.prepare(
        {
          query: params.query,
          operationName: params.operationName,
          variables: params.variables as Record<string, unknown> | null | undefined,
        },
        own.context,
      );
      if (!('operation' in ready)) return [...ready];
      const kind = ready.operation.node.operation;
      if (kind === 'subscription')
        return [
          graphErrorOf(
            new AppError('graphql.invalid', { message: 'Subscriptions are served over the sub-protocol graphql-transport-ws.' }),
            own.context.requestId,
          ),
        ];
      if (kind === 'mutation' && request.method === 'GET')
        return plain(405, new AppError('graphql.invalid', { message: 'Mutations are sent with POST.' }), own.context.requestId, {
          allow: 'POST',
        });
      // graphql-http types contexts as plain records; ours is a class, and it only passes it on.
      return ready as ExecutionArgs as OperationArgs;
    },
    execute: (args) => runner.execute(args as ExecutionArgs as ReadyOperation),
    onOperation: (request, _args, result) => ('data' in result ? undefined : withoutData(request as Req, result as ExecutionResult)),
  });

  void fastify.register((scope, _, done) => {
    scope.removeAllContentTypeParsers();
    const parseJson = scope.getDefaultJsonParser('error', 'ignore');
    scope.addContentTypeParser<Buffer>(
      'application/json',
      { parseAs: 'buffer', bodyLimit: options.maxBodyBytes },
      (request, body, parsed) => {
        assertJsonDepth(body);
        void parseJson(request, body.toString('utf8'), parsed);
      },
    );
    // Nothing else is read: the transport answers 415 before it looks at the body.
    scope.addContentTypeParser('*', { bodyLimit: options.maxBodyBytes }, (_request, payload, parsed) => {
      payload.resume();
      parsed(null, undefined);
    });
    scope.setErrorHandler((thrown, request, reply) =>
      refuse(request, reply, fromFrameworkError(thrown), requestContext(request).requestId, options.logger),
    );
    scope.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      url: options.path,
      handler: async (request, reply) => {
        if (options.page !== undefined && request.method === 'GET' && prefersHtml(request) && !request.url.includes('?')) {
          options.page(request, reply);
          return reply;
        }
        const caller = options.authenticate(request);
        const context = options.createContext(caller instanceof Promise ? await caller : caller, originOf(request, reply));
        const answer = await handle({
          url: request.url,
          method: request.method,
          headers: request.headers,
          body: request.body as Record<string, unknown> | null,
          raw: request,
          context: { context },
        });
        const [body, init] = told(answer, requestContext(request).requestId);
        return reply
          .status(init.status)
          .headers(init.headers ?? {})
          .send(body ?? undefined);
      },
    });
    done();
  });
}

async function parseParams(request: Req): ReturnType<typeof parseRequestParams> {
  const { requestId } = request.context.context;
  if (request.method !== 'GET' && request.method !== 'POST')
    return plain(405, new AppError('request.not_found', { message: 'GraphQL is served with GET and POST.' }), requestId, {
      allow: 'GET, POST',
    });
  if (request.method === 'POST') {
    if (!isJson(request.raw.headers['content-type'])) return plain(415, new AppError('request.unsupported_media_type'), requestId);
    if (Array.isArray(request.body))
      return plain(
        400,
        new AppError('request.invalid', { message: 'Batches are not served: send one operation in one JSON object.' }),
        requestId,
      );
  }
  try {
    return await parseRequestParams(request);
  } catch (error) {
    // graphql-http's sentences name what is missing and repeat nothing of the request.
    return plain(
      400,
      new AppError('request.invalid', { message: `${error instanceof Error ? error.message : 'Invalid request'}.` }),
      requestId,
    );
  }
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(;\s*charset="?utf-?8"?\s*)?(;|$)/i.test(contentType);
}

function prefersHtml(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? '';
  return accept.includes('text/html') && !accept.includes('json');
}

/** `graphql-http` refuses some media types without a word: this is the word. */
function told(answer: HttpResponse, requestId: string): HttpResponse {
  const [body, { status }] = answer;
  if (body !== null) return answer;
  if (status === 406) return plain(406, new AppError('request.unsupported_media_type', { message: NOT_ACCEPTABLE }), requestId);
  if (status === 415) return plain(415, new AppError('request.unsupported_media_type'), requestId);
  return answer;
}

/** A request error as JSON; the media type is the one that clients of any age read. */
function plain(status: number, error: AppError, requestId: string, headers: Record<string, string> = {}): HttpResponse {
  return [
    JSON.stringify({ errors: [describeError(error, requestId)] }),
    { status, statusText: '', headers: { 'content-type': 'application/json; charset=utf-8', ...headers } },
  ];
}

/**
 * Nothing ran. Variables that do not fit: 400 for clients that asked for the GraphQL media type, 200 for the older one. The
 * status of a refusal (no credential, too much in progress) is the same in either.
 */
function withoutData(request: Req, result: ExecutionResult): HttpResponse {
  const isCurrent = acceptsResponseType(request.raw.headers.accept);
  const refusal = refusalOf(result);
  const ofDocument = isCurrent ? 400 : 200;
  return [
    JSON.stringify({ errors: result.errors }),
    {
      status: refusal === null ? ofDocument : ERROR_KINDS[refusal.kind].httpStatus,
      statusText: '',
      headers: {
        'content-type': `${isCurrent ? RESPONSE_TYPE : 'application/json'}; charset=utf-8`,
        ...(refusal === null ? {} : errorHeaders(refusal)),
      },
    },
  ];
}

/** The error that refused the caller rather than the document. */
function refusalOf(result: ExecutionResult): AppError | null {
  const { code, retryAfterMs } = result.errors?.[0]?.extensions ?? {};
  if (!isErrorCode(code) || ERRORS[code].kind === 'invalid_input') return null;
  return new AppError(code, { retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined });
}

/** Is the GraphQL media type the first of the acceptable ones, as `graphql-http` picks? */
function acceptsResponseType(accept: string | undefined): boolean {
  for (const part of (accept ?? '*/*').toLowerCase().split(',')) {
    const type = part.split(';')[0]?.trim();
    if (type === RESPONSE_TYPE) return true;
    if (type === 'application/json' || type === 'application/*' || type === '*/*') return false;
  }
  return false;
}

function refuse(request: FastifyRequest, reply: FastifyReply, error: AppError, requestId: string, logger: Logger): void {
  reportError(error, requestId, logger);
  void reply
    .status(ERROR_KINDS[error.kind].httpStatus)
    .headers(errorHeaders(error))
    .type(`${acceptsResponseType(request.headers.accept) ? RESPONSE_TYPE : 'application/json'}; charset=utf-8`)
    .send(JSON.stringify({ errors: [describeError(error, requestId)] }));
}

function originOf(request: FastifyRequest, reply: FastifyReply): GraphOrigin {
  return {
    request: request.raw,
    reply,
    arrivedAtMs: performance.now() - reply.elapsedTime,
    onGone: (listener) => {
      const { raw } = reply;
      if (raw.destroyed && !raw.writableEnded) listener();
      else
        raw.once('close', () => {
          if (!raw.writableEnded) listener();
        });
    },
  };
}

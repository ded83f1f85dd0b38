import type { InternalTokenVerifier } from '@weir/access';
import { AppError } from '@weir/kernel';
import {
  CALL_ID_HEADER,
  MODEL_NAME_HEADER,
  PRIORITY_HEADER,
  priorityOf,
  sumOfUsage,
  TIMEOUT_HEADER,
  unpacked,
  USAGE_HEADER,
  usageHeader,
  type EncodedMessage,
  type InferenceUsage,
  type MessageHeaders,
  type ModelMetadata,
  type Priority,
} from '@weir/open-inference';
import { hangUpWhenAnswered } from '@weir/platform/fastify';
import { inSpan, type Logger } from '@weir/platform/telemetry';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { VersionStatistics } from '../statistics/version-statistics.ts';
import { CallsInProgress } from './calls-in-progress.ts';
import { timeoutMsOf, withDeadline } from './deadline.ts';
import { answerError } from './error-answer.ts';
import { assertMayUse, assertOperator, guard, guardedOf, type Audience } from './guard.ts';
import { CONTROL_TIMEOUT_MS, versionNamedIn } from './repository-control.ts';
import { statisticsOf } from './statistics-answer.ts';

/** JSON alone, and JSON with binary tensors behind it. */
const CONTENT_TYPES = ['application/json', 'application/octet-stream'];
const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'sequence', 'statistics'];

/** A call as an edge took it in. */
export interface EdgeCall {
  /** Without its compression. */
  readonly body: Buffer;
  readonly headers: MessageHeaders;
  /** Name of the model in the answer. */
  readonly modelName: string;
  /** Who calls, out of the verified token. */
  readonly tenantId: string;
  readonly priority: Priority;
  /** Aborted when the time is up or the caller has gone. */
  readonly signal: AbortSignal;
  /** Notes that a part of the call has begun to run: it is metered, also when the call is interrupted. */
  readonly started: (usage: InferenceUsage) => void;
}

export interface EdgeAnswer {
  readonly message: EncodedMessage;
  readonly usage: InferenceUsage;
}

/** A version that stands behind an edge. */
export interface EdgeVersion {
  /** By the registry's id. */
  readonly modelId: string;
  readonly version: string;
  readonly audience: Audience;
  readonly statistics: VersionStatistics;
  /** Null when it can be called at once, else why not. */
  readonly unavailable: string | null;
  /** @param name as the caller names the model */
  metadata(name: string, signal: AbortSignal): Promise<ModelMetadata>;
  /** @throws model.not_ready when no call of it is taken */
  assertReady(): void;
  infer(call: EdgeCall): Promise<EdgeAnswer>;
  /** Does what an operator asks. */
  control(what: 'load' | 'unload', signal: AbortSignal): Promise<void>;
}

export interface EdgeVersions {
  /**
   * @param version without it the one that was placed last
   * @throws model.not_found
   */
  get(modelId: string, version?: string): EdgeVersion;
  all(): readonly EdgeVersion[];
}

export interface EdgeOptions {
  readonly bodyLimitBytes: number;
  /** How long a call that says nothing waits for its answer. */
  readonly defaultTimeoutMs: number;
  /** Longest that a call may wait, whatever it says. */
  readonly longestTimeoutMs: number;
  readonly versions: EdgeVersions;
  readonly verifier: InternalTokenVerifier;
  readonly logger: Logger;
}

/** An edge, before and while it listens. */
export interface Edge {
  readonly app: FastifyInstance;
  /** Refuses what is new, and resolves when what is under way is answered. */
  close(): Promise<void>;
}

interface ModelParams {
  readonly model: string;
  readonly version?: string;
}

type ModelRequest = FastifyRequest<{ Params: ModelParams }>;

/** The Open Inference Protocol v2 over HTTP, with the binary extension. Models are named by the registry's model id. */
export function openInferenceEdge(options: EdgeOptions): Edge {
  const { bodyLimitBytes, defaultTimeoutMs, verifier, logger, versions } = options;
  const app = fastify({
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: 'idle',
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 200 },
  });
  const hangUp = hangUpWhenAnswered(app);
  const calls = new CallsInProgress();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser([...CONTENT_TYPES], { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  app.setErrorHandler((error, _, reply) => answerError(reply, error, logger));
  app.setNotFoundHandler((_, reply) => answerError(reply, new AppError('request.not_found'), logger));

  app.get('/v2/health/live', async () => ({ live: true }));
  app.get('/v2/health/ready', async () => ({ ready: true }));
  app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, done) => guard(verifier, request, reply, done));
    scope.get('/v2', async () => ({ name: 'weir-worker', version: '2', extensions: EXTENSIONS }));
    for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
      const find = (request: ModelRequest): EdgeVersion => found(versions, request);
      scope.get(path, (request: ModelRequest) => find(request).metadata(request.params.model, AbortSignal.timeout(defaultTimeoutMs)));
      scope.get(`${path}/ready`, async (request: ModelRequest) => {
        find(request).assertReady();
        return { name: request.params.model, ready: true };
      });
      scope.get(`${path}/stats`, async (request: ModelRequest) => {
        assertOperator(request);
        const { version, statistics } = find(request);
        return { model_stats: [statisticsOf(request.params.model, version, statistics)] };
      });
      scope.post(`${path}/infer`, (request: ModelRequest, reply) => answer(options, calls, request, reply));
    }
    scope.post('/v2/calls/:call/cancel', async (request: FastifyRequest<{ Params: { readonly call: string } }>, reply) => {
      calls.cancel(guardedOf(request).token.principal.tenantId, request.params.call);
      return reply.status(200).send({});
    });
    scope.post('/v2/repository/index', async (request) => {
      assertOperator(request);
      return versions.all().map(({ modelId, version, unavailable }) => ({
        name: modelId,
        version,
        state: unavailable === null ? 'READY' : 'UNAVAILABLE',
        reason: unavailable ?? '',
      }));
    });
    for (const what of ['load', 'unload'] as const) {
      scope.post(`/v2/repository/models/:model/${what}`, async (request: ModelRequest, reply) => {
        assertOperator(request);
        await versions.get(request.params.model, versionOf(request.body)).control(what, AbortSignal.timeout(CONTROL_TIMEOUT_MS));
        return reply.status(200).send({});
      });
    }
  });
  return { app, close: () => hangUp(() => app.close()) };
}

/** @throws model.not_found also for a version that the caller's tenant may not use */
function found(versions: EdgeVersions, request: ModelRequest): EdgeVersion {
  const version = versions.get(request.params.model, request.params.version);
  assertMayUse(request, version.audience);
  return version;
}

/** `parameters.version` of an operator's request; undefined where it names none. */
function versionOf(body: unknown): string | undefined {
  return Buffer.isBuffer(body) && body.length > 0 ? versionNamedIn(jsonOf(body)) : undefined;
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new AppError('request.malformed', { cause: error });
  }
}

function answer(options: EdgeOptions, calls: CallsInProgress, request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { traceparent } = request.headers;
  return inSpan('infer', { traceparent: typeof traceparent === 'string' ? traceparent : undefined }, () =>
    answerCall(options, calls, request, reply),
  );
}

async function answerCall(options: EdgeOptions, calls: CallsInProgress, request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { params, headers, body } = request;
  const startedAtMs = performance.now() - reply.elapsedTime;
  const version = found(options.versions, request);
  const started: InferenceUsage[] = [];
  let isOk = false;
  try {
    const timeoutMs = timeoutMsOf(headers[TIMEOUT_HEADER], options.defaultTimeoutMs, options.longestTimeoutMs);
    const priority = priorityOf(headers[PRIORITY_HEADER]) ?? 'interactive';
    if (!Buffer.isBuffer(body)) throw new AppError('request.malformed', { message: 'The request has no body.' });
    const plain = await unpacked(body, headers['content-encoding'], options.bodyLimitBytes);
    const { tenantId } = guardedOf(request).token.principal;
    const publicName = headers[MODEL_NAME_HEADER];
    const modelName = typeof publicName === 'string' ? publicName : params.model;
    const callId = headers[CALL_ID_HEADER];
    const { message, usage } = await withDeadline(reply.raw, timeoutMs, async (signal, cancel) => {
      const ended = calls.track(tenantId, typeof callId === 'string' ? callId : undefined, cancel);
      try {
        return await version.infer({ body: plain, headers, modelName, tenantId, priority, signal, started: (part) => started.push(part) });
      } finally {
        ended();
      }
    });
    isOk = true;
    return reply.headers({ ...message.headers, [USAGE_HEADER]: usageHeader(usage) }).send(message.body);
  } catch (error) {
    if (isInterruption(error) && started.length > 0) void reply.header(USAGE_HEADER, usageHeader(sumOfUsage(started)));
    throw error;
  } finally {
    version.statistics.answered((performance.now() - startedAtMs) / 1000, isOk);
  }
}

/** Did the call end because its caller did not wait any longer? */
function isInterruption(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'request.timeout' || error.code === 'request.cancelled');
}

import type { ServerResponse } from 'node:http';
import { authorise, INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER, type InternalTokenVerifier, type VerifiedInternalToken } from '@weir/access';
import { AppError } from '@weir/kernel';
import {
  encodeResponse,
  ERROR_CODE_HEADER,
  ERROR_FIELD_HEADER,
  MODEL_NAME_HEADER,
  PRIORITY_HEADER,
  readRequest,
  TIMEOUT_HEADER,
  USAGE_HEADER,
  usageHeader,
  type InferenceError,
} from '@weir/open-inference';
import { errorHeaders, fromFastifyError, hangUpWhenAnswered, httpStatusOf } from '@weir/platform/fastify';
import { currentSpanParent, inRequest, inSpan, recordSpan, type Logger } from '@weir/platform/telemetry';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ServingSettings } from '../control-messages.ts';
import type { Priority } from '../runtime/waiting-item.ts';
import { infer } from '../tasks/infer.ts';
import { metadataOf } from '../tasks/metadata.ts';
import type { RunItem, TaskLimits } from '../tasks/task.ts';
import type { ServedEntry, ServedVersions } from '../versions/served-versions.ts';
import { unpacked } from './body.ts';
import { timeoutMsOf, withDeadline } from './deadline.ts';
import { statisticsOf } from './statistics.ts';

const MAX_TENSORS = 64;
/** What a supervisor may take to load or unload when an operator asks. */
const CONTROL_TIMEOUT_MS = 120_000;
const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'sequence', 'statistics'];

export interface ServingEdgeOptions {
  readonly settings: ServingSettings;
  readonly versions: ServedVersions;
  readonly verifier: InternalTokenVerifier;
  readonly logger: Logger;
  /** Asks the supervisor; resolves when it has been done. */
  readonly control: (versionId: string, what: 'load' | 'unload', signal: AbortSignal) => Promise<void>;
}

/** JSON alone, and JSON with binary tensors behind it. */
const CONTENT_TYPES = ['application/json', 'application/octet-stream'];

/** The edge, before and while it listens. */
export interface ServingEdge {
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
export function servingEdge(options: ServingEdgeOptions): ServingEdge {
  const { settings, verifier, logger, versions } = options;
  const app = fastify({
    bodyLimit: settings.bodyLimitBytes,
    forceCloseConnections: 'idle',
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 200 },
  });
  const hangUp = hangUpWhenAnswered(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser([...CONTENT_TYPES], { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  const refuse = (request: FastifyRequest, reply: FastifyReply, thrown: unknown): void => answerError(request, reply, thrown, logger);
  app.setErrorHandler((error, request, reply) => refuse(request, reply, error));
  app.setNotFoundHandler((request, reply) => refuse(request, reply, new AppError('request.not_found')));

  app.get('/v2/health/live', async () => ({ live: true }));
  app.get('/v2/health/ready', async () => ({ ready: true }));
  app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, done) => guard(verifier, request, reply, done));
    scope.get('/v2', async () => ({ name: 'weir-worker', version: '2', extensions: EXTENSIONS }));
    for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
      scope.get(path, async (request: ModelRequest) => {
        const { served } = versions.get(request.params.model, request.params.version);
        const signal = AbortSignal.timeout(settings.defaultTimeoutMs);
        return served.use(signal, async (version) => metadataOf(version, request.params.model, versions.versionsOf(request.params.model)));
      });
      scope.get(`${path}/ready`, async (request: ModelRequest) => {
        versions.get(request.params.model, request.params.version);
        return { name: request.params.model, ready: true };
      });
      scope.get(`${path}/stats`, async (request: ModelRequest) => {
        operator(request);
        return { model_stats: [statisticsOf(request.params.model, versions.get(request.params.model, request.params.version))] };
      });
      scope.post(`${path}/infer`, (request: ModelRequest, reply) => answer(options, request, reply));
    }
    scope.post('/v2/repository/index', async (request) => {
      operator(request);
      return versions.all().map(({ served }) => ({
        name: served.placed.modelId,
        version: served.placed.version,
        state: served.isInMemory ? 'READY' : 'UNAVAILABLE',
        reason: served.isInMemory ? '' : 'unloaded',
      }));
    });
    for (const what of ['load', 'unload'] as const) {
      scope.post(`/v2/repository/models/:model/${what}`, async (request: ModelRequest, reply) => {
        operator(request);
        const { served } = versions.get(request.params.model);
        await options.control(served.placed.versionId, what, AbortSignal.timeout(CONTROL_TIMEOUT_MS));
        return reply.status(200).send({});
      });
    }
  });
  return { app, close: () => hangUp(() => app.close()) };
}

/** What the guard learned about a request. */
interface Guarded {
  readonly requestId: string;
  readonly token: VerifiedInternalToken;
}

const GUARDED = Symbol('weir.guarded');

function guardedOf(request: FastifyRequest): Guarded {
  const guarded = (request.raw as typeof request.raw & { [GUARDED]?: Guarded })[GUARDED];
  if (guarded === undefined) throw new AppError('auth.internal_token');
  return guarded;
}

/** Refuses every request without a valid internal token for a worker. */
function guard(verifier: InternalTokenVerifier, request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  const header = request.headers[INTERNAL_TOKEN_HEADER];
  const token = typeof header === 'string' ? header : undefined;
  const id = request.headers[REQUEST_ID_HEADER];
  const requestId = typeof id === 'string' ? id : '';
  if (requestId !== '') void reply.header(REQUEST_ID_HEADER, requestId);
  const admit = (verified: VerifiedInternalToken): void => {
    Object.assign(request.raw, { [GUARDED]: { requestId, token: verified } satisfies Guarded });
    inRequest(requestId, done);
  };
  const known = token === undefined ? null : verifier.cached(token);
  if (known !== null) admit(known);
  else verifier.verify(token).then(admit, done);
}

function operator(request: FastifyRequest): void {
  authorise(guardedOf(request).token.principal, 'operator');
}

function answer(options: ServingEdgeOptions, request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { traceparent } = request.headers;
  return inSpan('infer', { traceparent: typeof traceparent === 'string' ? traceparent : undefined }, () =>
    answerCall(options, request, reply),
  );
}

async function answerCall({ settings, versions }: ServingEdgeOptions, request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
  const startedAtMs = performance.now() - reply.elapsedTime;
  const { model } = request.params;
  const entry = versions.get(model, request.params.version);
  let isOk = false;
  try {
    const { headers } = request;
    const timeoutMs = timeoutMsOf(headers[TIMEOUT_HEADER], settings.defaultTimeoutMs, settings.runLimitMs);
    const priority = priorityOf(headers[PRIORITY_HEADER]);
    if (!Buffer.isBuffer(request.body)) throw new AppError('request.malformed', { message: 'The request has no body.' });
    const body = await unpacked(request.body, headers['content-encoding'], settings.bodyLimitBytes);
    const call = readRequest(body, headers, { maxTensors: MAX_TENSORS, maxElements: settings.maxElements });
    const { outputs, usage } = await withDeadline(reply.raw, timeoutMs, (signal) =>
      run(
        entry,
        { inputs: call.inputs, outputs: call.outputs ?? [], parameters: call.parameters ?? {} },
        priority,
        signal,
        taskLimitsOf(settings),
      ),
    );
    const publicName = headers[MODEL_NAME_HEADER];
    const encoded = encodedAnswer(
      {
        model_name: typeof publicName === 'string' ? publicName : model,
        model_version: entry.served.placed.version,
        parameters: { usage },
        outputs,
      },
      call,
    );
    isOk = true;
    return reply.headers({ ...encoded.headers, [USAGE_HEADER]: usageHeader(usage) }).send(encoded.body);
  } finally {
    entry.statistics.answered((performance.now() - startedAtMs) / 1000, isOk);
  }
}

/** What a task makes has been checked; numbers that JSON cannot say come from raw tensors, which are the caller's. */
function encodedAnswer(...message: Parameters<typeof encodeResponse>): ReturnType<typeof encodeResponse> {
  try {
    return encodeResponse(...message);
  } catch (error) {
    if (error instanceof AppError && error.code === 'model.failed')
      throw new AppError('model.input_invalid', { field: 'inputs', message: `${error.message} (for these tensors)` });
    throw error;
  }
}

type CallRequest = Parameters<typeof infer>[0]['request'];

function run(
  { served }: ServedEntry,
  request: CallRequest,
  priority: Priority,
  signal: AbortSignal,
  limits: TaskLimits,
): ReturnType<typeof infer> {
  const parent = currentSpanParent();
  const progress = { priority, signal, isAdmitted: false };
  const runItem = async (item: RunItem) => {
    const queuedAtMs = performance.now();
    const result = await served.run(item, progress);
    if (parent !== undefined) {
      recordSpan('queue', parent, queuedAtMs, result.startedAtMs, { network: item.network });
      recordSpan('execute', parent, result.startedAtMs, result.endedAtMs, {
        network: item.network,
        rows: item.rows,
        'batch.rows': result.batchRows,
      });
    }
    return result.outputs;
  };
  return served.use(signal, (version) => infer({ version, request, limits, signal, run: runItem, sequence: null }));
}

function taskLimitsOf({ maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds }: ServingSettings): TaskLimits {
  return { maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds };
}

function priorityOf(header: string | string[] | undefined): Priority {
  if (header === undefined) return 'interactive';
  if (header === 'interactive' || header === 'batch') return header;
  throw new AppError('request.invalid', { field: PRIORITY_HEADER, message: `The header ${PRIORITY_HEADER} must be interactive or batch.` });
}

/** Every error in the protocol's shape: `{ "error": … }`, the code and the field in headers. */
function answerError(request: FastifyRequest, reply: FastifyReply, thrown: unknown, logger: Logger): void {
  const error = fromFastifyError(thrown);
  if (error.kind === 'internal') logger.error({ err: error.cause ?? error }, 'request failed');
  if (reply.sent || isGone(reply.raw)) return;
  const body: InferenceError = { error: error.message };
  if (error.field !== undefined && error.field !== '') void reply.header(ERROR_FIELD_HEADER, encodeURIComponent(error.field));
  void reply
    .status(httpStatusOf(error))
    .headers({ ...errorHeaders(error), [ERROR_CODE_HEADER]: error.code, 'content-type': 'application/json; charset=utf-8' })
    .send(JSON.stringify(body));
}

function isGone(response: ServerResponse): boolean {
  return response.destroyed;
}

import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { AppError } from '@weir/kernel';
import {
  encodingFor,
  ERROR_CODE_HEADER,
  ERROR_FIELD_HEADER,
  HEADER_LENGTH_HEADER,
  jsonPartOf,
  packed,
  priorityOf,
  PRIORITY_HEADER,
  sequenceIdOf,
  timeoutMsOf,
  TIMEOUT_HEADER,
  unpacked,
  type EncodedMessage,
} from '@weir/open-inference';
import { assertJsonDepth, errorHeaders, fromFrameworkError, httpStatusOf, reportError } from '@weir/platform/http';
import { LOGGER, Readiness, SETTINGS, UNPACKS_BODIES } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Authenticator } from '../edge/authenticator.ts';
import type { Caller } from '../edge/caller.ts';
import { requestIdFor } from '../edge/request-ids.ts';
import type { GatewaySettings } from '../settings.ts';
import { LimitError, rateLimitHeaders } from './admission.ts';
import { presenceOfResponse } from './caller-presence.ts';
import { IDEMPOTENCY_KEY_HEADER, idempotencyKeyOf, REPEATED_HEADER } from './idempotency/idempotency-key.ts';
import { InferenceService } from './inference.service.ts';
import { ModelRepository } from './model-repository.ts';
import { ModelSignatures } from './model-signatures.ts';
import { parseControl, parseIndex } from './repository-requests.ts';
import { SERVER_METADATA } from './server-metadata.ts';
import { ModelStatistics } from './model-statistics.ts';

/** A model's name may have two parts: `<owner>/<model>`. */
interface ModelParams {
  readonly owner?: string;
  readonly model: string;
  readonly version?: string;
}

type ModelRequest = FastifyRequest<{ Params: ModelParams }>;

const MODELS = ['/models/:model', '/models/:owner/:model'];
const VERSIONS = ['', '/versions/:version'];
const REPOSITORY_MODELS = ['/repository/models/:model', '/repository/models/:owner/:model'];

/**
 * The Open Inference Protocol v2 over HTTP, in JSON and bytes, for tenants, with their API key and the models' public
 * names. Bodies pass through as bytes: the worker checks them, so that nothing is parsed twice.
 */
@Injectable()
export class OpenInferenceRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Authenticator) private readonly authenticator: Authenticator,
    @Inject(InferenceService) private readonly inference: InferenceService,
    @Inject(ModelSignatures) private readonly signatures: ModelSignatures,
    @Inject(ModelRepository) private readonly repository: ModelRepository,
    @Inject(ModelStatistics) private readonly statistics: ModelStatistics,
  ) {}

  onModuleInit(): void {
    this.host.httpAdapter.getInstance<FastifyInstance>().register((scope: FastifyInstance) => this.mount(scope), { prefix: '/v2' });
  }

  private async mount(scope: FastifyInstance): Promise<void> {
    // Whatever a body is called, it is what the protocol says.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: this.settings.bodyLimitBytes }, (_, body, done) => done(null, body));
    scope.setErrorHandler((error, request, reply) => this.refuse(request, reply, error));
    scope.setNotFoundHandler((request, reply) => this.refuse(request, reply, new AppError('request.not_found')));

    scope.get('/', async () => SERVER_METADATA);
    scope.get('/health/live', async () => ({ live: true }));
    scope.get('/health/ready', async (_, reply) => {
      const { isReady } = await this.readiness.report();
      return reply.status(isReady ? 200 : 503).send({ ready: isReady });
    });
    for (const path of MODELS.flatMap((model) => VERSIONS.map((version) => model + version))) {
      scope.get(path, async (request: ModelRequest) => {
        const { principal } = await this.caller(request);
        return this.signatures.read(principal, modelOf(request), request.params.version, requestIdFor(request.raw));
      });
      scope.get(`${path}/ready`, async (request: ModelRequest, reply) => {
        const { principal } = await this.caller(request);
        const readiness = this.signatures.readiness(principal, modelOf(request), request.params.version);
        return reply.status(readiness.ready ? 200 : 503).send(readiness);
      });
      scope.get(`${path}/stats`, async (request: ModelRequest) => {
        const { principal } = await this.caller(request);
        return {
          model_stats: [await this.statistics.read(principal, modelOf(request), request.params.version, requestIdFor(request.raw))],
        };
      });
      scope.post(`${path}/infer`, { config: UNPACKS_BODIES }, (request: ModelRequest, reply) => this.infer(request, reply));
    }
    scope.get('/models/stats', async (request) => {
      const { principal } = await this.caller(request);
      return { model_stats: await this.statistics.readAll(principal, requestIdFor(request.raw)) };
    });
    scope.post('/repository/index', async (request) => {
      const { principal } = await this.caller(request);
      return this.repository.index(principal, parseIndex(request.body).ready);
    });
    for (const path of REPOSITORY_MODELS) {
      for (const what of ['load', 'unload'] as const) {
        scope.post(`${path}/${what}`, async (request: ModelRequest) => {
          const { principal } = await this.caller(request);
          parseControl(request.body);
          await this.repository.control(principal, what, modelOf(request), requestIdFor(request.raw));
          return {};
        });
      }
    }
  }

  private caller(request: FastifyRequest): Caller | Promise<Caller> {
    return this.authenticator.require(request.raw);
  }

  private async infer(request: ModelRequest, reply: FastifyReply): Promise<Buffer> {
    const arrivedAtMs = performance.now() - reply.elapsedTime;
    const { principal, limits } = await this.caller(request);
    const { headers, body } = request;
    const timeoutMs = timeoutMsOf(headers[TIMEOUT_HEADER]);
    const priority = priorityOf(headers[PRIORITY_HEADER]);
    if (!Buffer.isBuffer(body)) throw new AppError('request.malformed', { message: 'The request has no body.' });
    const message = messageOf(await unpacked(body, headers['content-encoding'], this.settings.bodyLimitBytes), headers);
    assertJsonDepth(jsonPartOf(message));
    const answer = await this.inference.infer({
      principal,
      limits,
      requestId: requestIdFor(request.raw),
      surface: 'open-inference',
      model: modelOf(request),
      version: request.params.version,
      request: () => message,
      read: (answer) => answer,
      arrivedAtMs,
      timeoutMs,
      priority,
      sequenceId: sequenceIdOf(message),
      idempotencyKey: idempotencyKeyOf(headers[IDEMPOTENCY_KEY_HEADER]),
      caller: presenceOfResponse(reply.raw),
    });
    void reply.headers({
      ...rateLimitHeaders(answer.rateLimit),
      ...answer.output.headers,
      'x-weir-receipt-id': answer.receiptId,
      'x-weir-cost': `${answer.cost.amount} ${answer.cost.currency}`,
      ...(answer.isRepeated ? { [REPEATED_HEADER]: 'true' } : {}),
    });
    return packedFor(request, reply, answer.output.body);
  }

  /** The protocol's error body; the code of the table and the field stand in headers. */
  private refuse(request: FastifyRequest, reply: FastifyReply, thrown: unknown): void {
    const error = fromFrameworkError(thrown);
    reportError(error, requestIdFor(request.raw), this.logger);
    if (reply.sent) return;
    if (error.field !== undefined && error.field !== '') void reply.header(ERROR_FIELD_HEADER, encodeURIComponent(error.field));
    void reply
      .status(httpStatusOf(error))
      .headers({
        ...errorHeaders(error),
        ...(error instanceof LimitError ? rateLimitHeaders(error.rateLimit) : {}),
        [ERROR_CODE_HEADER]: error.code,
        'content-type': 'application/json; charset=utf-8',
      })
      .send(JSON.stringify({ error: error.message }));
  }
}

function modelOf({ params: { owner, model } }: ModelRequest): string {
  return owner === undefined ? model : `${owner}/${model}`;
}

/** The body with the header that says where its bytes begin; a worker reads one without it as JSON, whatever it is called. */
function messageOf(body: Buffer, headers: FastifyRequest['headers']): EncodedMessage {
  const length = headers[HEADER_LENGTH_HEADER];
  if (length === undefined) return { headers: { 'content-type': 'application/json' }, body };
  return { headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH_HEADER]: String(length) }, body };
}

async function packedFor(request: FastifyRequest, reply: FastifyReply, body: Buffer): Promise<Buffer> {
  const accepted = request.headers['accept-encoding'];
  const encoding = encodingFor(typeof accepted === 'string' ? accepted : undefined, body.length);
  if (encoding === null) return body;
  void reply.headers({ 'content-encoding': encoding, vary: 'accept-encoding' });
  return packed(body, encoding);
}

import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { authorise } from '@weir/access';
import { AppError } from '@weir/kernel';
import { errorHeaders, fromFrameworkError, httpStatusOf } from '@weir/platform/http';
import { CLOCK, LOGGER, Readiness, SETTINGS } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import type { Clock } from '@weir/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Authenticator } from '../edge/authenticator.ts';
import { requestIdFor } from '../edge/request-ids.ts';
import type { GatewaySettings } from '../settings.ts';
import { LimitError, rateLimitHeaders } from './admission.ts';
import { presenceOfResponse } from './caller-presence.ts';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import { grantFor } from './grants.ts';
import { InferenceService } from './inference.service.ts';
import { ModelMetadata } from './model-metadata.ts';

interface ModelParams {
  readonly model: string;
  readonly version?: string;
}

/**
 * The Open Inference Protocol v2 (REST, JSON) for tenants, with their API key and the models' public names.
 * Bodies pass through as bytes: the worker checks them, so that nothing is parsed twice.
 */
@Injectable()
export class OpenInferenceRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Authenticator) private readonly authenticator: Authenticator,
    @Inject(CATALOGUE) private readonly catalogue: Catalogue,
    @Inject(InferenceService) private readonly inference: InferenceService,
    @Inject(ModelMetadata) private readonly metadata: ModelMetadata,
  ) {}

  onModuleInit(): void {
    this.host.httpAdapter.getInstance<FastifyInstance>().register((scope: FastifyInstance) => this.mount(scope), { prefix: '/v2' });
  }

  private async mount(scope: FastifyInstance): Promise<void> {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: this.settings.bodyLimitBytes }, (_, body, done) =>
      done(null, body),
    );
    scope.setErrorHandler((error, request, reply) => this.refuse(request, reply, error));
    scope.setNotFoundHandler((request, reply) => this.refuse(request, reply, new AppError('request.not_found')));

    scope.get('/', async () => ({ name: 'weir', version: '0.1.0', extensions: [] }));
    scope.get('/health/live', async () => ({ live: true }));
    scope.get('/health/ready', async (_, reply) => {
      const { isReady } = await this.readiness.report();
      return reply.status(isReady ? 200 : 503).send({ ready: isReady });
    });
    for (const path of ['/models/:model', '/models/:model/versions/:version']) {
      scope.get<{ Params: ModelParams }>(path, (request) => this.describe(request));
      scope.get<{ Params: ModelParams }>(`${path}/ready`, (request, reply) => this.isReady(request, reply));
      scope.post<{ Params: ModelParams }>(`${path}/infer`, (request, reply) => this.infer(request, reply));
    }
  }

  private async infer(request: FastifyRequest<{ Params: ModelParams }>, reply: FastifyReply): Promise<Buffer> {
    const arrivedAtMs = performance.now() - reply.elapsedTime;
    const { principal, limits } = await this.authenticator.require(request.raw);
    const { body } = request;
    if (!Buffer.isBuffer(body)) throw new AppError('request.malformed');
    const answer = await this.inference.infer({
      principal,
      limits,
      requestId: requestIdFor(request.raw),
      surface: 'open-inference',
      model: request.params.model,
      version: request.params.version,
      request: () => ({ headers: { 'content-type': 'application/json' }, body }),
      read: (answer) => answer,
      arrivedAtMs,
      caller: presenceOfResponse(reply.raw),
    });
    void reply.headers({
      ...rateLimitHeaders(answer.rateLimit),
      ...answer.output.headers,
      'x-weir-receipt-id': answer.receiptId,
      'x-weir-cost': `${answer.cost.amount} ${answer.cost.currency}`,
    });
    return answer.output.body;
  }

  private async describe(request: FastifyRequest<{ Params: ModelParams }>): Promise<unknown> {
    const { principal } = await this.authenticator.require(request.raw);
    authorise(principal, 'models.read');
    return this.metadata.read(principal, request.params.model, request.params.version, requestIdFor(request.raw));
  }

  private async isReady(request: FastifyRequest<{ Params: ModelParams }>, reply: FastifyReply): Promise<unknown> {
    const { principal } = await this.authenticator.require(request.raw);
    const { model, version } = request.params;
    const { deployment } = grantFor(this.catalogue, { principal, model, version }, this.clock.now());
    const ready = this.catalogue.readyWorkersFor(deployment.versionId).length > 0;
    return reply.status(ready ? 200 : 503).send({ name: deployment.model, ready });
  }

  /** The protocol's error body; the code of the table stands in a header. */
  private refuse(request: FastifyRequest, reply: FastifyReply, thrown: unknown): void {
    const error = fromFrameworkError(thrown);
    if (error.kind === 'internal' || error.kind === 'unavailable')
      this.logger.warn({ err: error.cause ?? error, code: error.code, requestId: requestIdFor(request.raw) }, 'inference failed');
    if (reply.sent) return;
    void reply
      .status(httpStatusOf(error))
      .headers({
        ...errorHeaders(error),
        ...(error instanceof LimitError ? rateLimitHeaders(error.rateLimit) : {}),
        'x-weir-error-code': error.code,
        'content-type': 'application/json; charset=utf-8',
      })
      .send(JSON.stringify({ error: error.message }));
  }
}

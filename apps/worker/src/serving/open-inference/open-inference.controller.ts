import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import {
  MODEL_NAME_HEADER,
  parseInferenceRequest,
  TIMEOUT_HEADER,
  USAGE_HEADER,
  usageHeader,
  type InferenceResponse,
  type ModelMetadata,
  type ServerMetadata,
} from '@weir/open-inference';
import { Readiness, SETTINGS } from '@weir/platform/service';
import type { FastifyReply } from 'fastify';
import { LoadedVersions } from '../placements/loaded-versions.ts';
import { ModelRuntime } from '../runtime/model-runtime.ts';
import type { WorkerSettings } from '../settings.ts';
import { infer } from '../tasks/infer.ts';
import { timeoutMsOf, withDeadline } from './deadline.ts';
import { metadataOf } from './model-metadata.ts';

const MAX_TENSORS = 64;

/** The Open Inference Protocol v2 over HTTP with JSON bodies. Models are named by the registry's model id. */
@Controller('v2')
export class OpenInferenceController {
  readonly #settings: WorkerSettings;
  readonly #versions: LoadedVersions;
  readonly #runtime: ModelRuntime;
  readonly #readiness: Readiness;

  constructor(
    @Inject(SETTINGS) settings: WorkerSettings,
    @Inject(LoadedVersions) versions: LoadedVersions,
    @Inject(ModelRuntime) runtime: ModelRuntime,
    @Inject(Readiness) readiness: Readiness,
  ) {
    this.#settings = settings;
    this.#versions = versions;
    this.#runtime = runtime;
    this.#readiness = readiness;
  }

  @Get()
  server(): ServerMetadata {
    return { name: 'weir-worker', version: '1', extensions: [] };
  }

  @Get('health/live')
  live(): { live: boolean } {
    return { live: true };
  }

  @Get('health/ready')
  async ready(): Promise<{ ready: boolean }> {
    const { isReady } = await this.#readiness.report();
    if (!isReady) throw new AppError('service.starting');
    return { ready: true };
  }

  @Get(['models/:model', 'models/:model/versions/:version'])
  metadata(@Param('model') model: string, @Param('version') version?: string): ModelMetadata {
    return metadataOf(this.#versions.get(model, version), this.#versions.versionsOf(model));
  }

  @Get(['models/:model/ready', 'models/:model/versions/:version/ready'])
  modelReady(@Param('model') model: string, @Param('version') version?: string): { name: string; ready: boolean } {
    this.#versions.get(model, version);
    return { name: model, ready: true };
  }

  @Post(['models/:model/infer', 'models/:model/versions/:version/infer'])
  @HttpCode(200)
  async infer(
    @Param('model') model: string,
    @Param('version') version: string | undefined,
    @Body() body: unknown,
    @Headers(TIMEOUT_HEADER) timeout: string | undefined,
    @Headers(MODEL_NAME_HEADER) publicName: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<InferenceResponse> {
    const { defaultTimeoutMs, runLimitMs, maxElements, maxItems, maxTextCharacters, maxImagePixels } = this.#settings;
    const loaded = this.#versions.get(model, version);
    const timeoutMs = timeoutMsOf(timeout, defaultTimeoutMs, runLimitMs);
    const request = parseInferenceRequest(body, { maxTensors: MAX_TENSORS, maxElements });
    const answer = await withDeadline(reply, timeoutMs, (signal) =>
      infer(
        {
          version: loaded,
          runtime: this.#runtime,
          limits: { maxItems, maxTextCharacters, maxImagePixels },
          signal,
          parameters: request.parameters ?? {},
        },
        request,
      ),
    );
    void reply.header(USAGE_HEADER, usageHeader(answer.usage));
    return {
      model_name: publicName ?? model,
      model_version: loaded.version,
      ...(request.id === undefined ? {} : { id: request.id }),
      parameters: { usage: answer.usage },
      outputs: answer.outputs,
    };
  }
}

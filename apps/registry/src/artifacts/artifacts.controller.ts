import { Controller, Get, HttpCode, Inject, Param, Put, Req, Res, StreamableFile, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import { CurrentPrincipal, requestContext } from '@weir/platform/http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { ArtifactsService } from './artifacts.service.ts';

const DIGEST = /^[0-9a-f]{64}$/;
const CONTENT_TYPE = 'application/octet-stream';

/** Files of models by their SHA-256, between services. */
@Controller('artifacts/sha256')
export class ArtifactsController implements OnModuleInit {
  readonly #artifacts: ArtifactsService;
  readonly #host: HttpAdapterHost;

  constructor(@Inject(ArtifactsService) artifacts: ArtifactsService, @Inject(HttpAdapterHost) host: HttpAdapterHost) {
    this.#artifacts = artifacts;
    this.#host = host;
  }

  /** Files are streamed, not collected; the store counts their bytes. */
  onModuleInit(): void {
    const fastify = this.#host.httpAdapter.getInstance<FastifyInstance>();
    fastify.addContentTypeParser(CONTENT_TYPE, { bodyLimit: Number.MAX_SAFE_INTEGER }, (_request, payload, done) => done(null, payload));
  }

  @Put(':digest')
  @HttpCode(200)
  async put(
    @CurrentPrincipal() principal: Principal,
    @Param('digest') digest: string,
    @Req() request: FastifyRequest,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    assertDigest(digest);
    if (!(request.body instanceof Readable))
      throw new AppError('request.unsupported_media_type', { message: `Send content-type: ${CONTENT_TYPE}.` });
    const sizeBytes = await this.#artifacts.put(principal, requestContext(request).caller, digest, request.body);
    return { sha256: digest, sizeBytes };
  }

  @Get(':digest')
  async get(
    @Param('digest') digest: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    assertDigest(digest);
    const { content, sizeBytes } = await this.#artifacts.read(requestContext(request).caller, digest);
    void reply.header('etag', `"${digest}"`);
    return new StreamableFile(content, { type: CONTENT_TYPE, length: sizeBytes });
  }
}

function assertDigest(digest: string): void {
  if (!DIGEST.test(digest))
    throw new AppError('request.invalid', { field: 'digest', message: 'digest: must be a SHA-256 in lower-case hexadecimal.' });
}

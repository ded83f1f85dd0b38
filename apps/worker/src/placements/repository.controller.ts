import { Controller, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { CurrentPrincipal } from '@weir/platform/http';
import { LOGGER } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answerError } from '../open-inference/error-answer.ts';
import { CONTROL_TIMEOUT_MS, versionNamedIn } from '../open-inference/repository-control.ts';
import { PlacementReconciler } from './placement-reconciler.ts';

/**
 * The repository extension for versions that no serving process has: those that failed to load and those in quarantine.
 * Of the others the serving processes answer it.
 */
@Controller('v2/repository/models')
export class RepositoryController {
  readonly #reconciler: PlacementReconciler;
  readonly #logger: Logger;

  constructor(@Inject(PlacementReconciler) reconciler: PlacementReconciler, @Inject(LOGGER) logger: Logger) {
    this.#reconciler = reconciler;
    this.#logger = logger;
  }

  @Post(':model/load')
  load(
    @CurrentPrincipal() principal: Principal,
    @Param('model') modelId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answer(principal, request, reply, (version) =>
      this.#reconciler.loadNow(modelId, version, AbortSignal.timeout(CONTROL_TIMEOUT_MS)),
    );
  }

  /** Such a version takes no memory. */
  @Post(':model/unload')
  unload(
    @CurrentPrincipal() principal: Principal,
    @Param('model') modelId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answer(principal, request, reply, async (version) => void this.#reconciler.find(modelId, version));
  }

  async #answer(
    principal: Principal,
    { body }: FastifyRequest,
    reply: FastifyReply,
    work: (version: string | undefined) => Promise<unknown>,
  ): Promise<void> {
    try {
      authorise(principal, 'operator');
      await work(body === undefined || body === null ? undefined : versionNamedIn(body));
      await reply.status(200).send({});
    } catch (error) {
      answerError(reply, error, this.#logger);
    }
  }
}

import { Controller, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import { CurrentPrincipal } from '@weir/platform/http';
import { LOGGER } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { answerError } from '../open-inference/error-answer.ts';
import { PlacementReconciler } from './placement-reconciler.ts';

/** Longest wait for a load that an operator asked for. */
const LOAD_TIMEOUT_MS = 120_000;

const bodySchema = z.looseObject({ parameters: z.looseObject({ version: z.string().optional() }).optional() }).optional();

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
    return this.#answer(reply, async () => {
      authorise(principal, 'operator');
      const timeout = AbortSignal.timeout(LOAD_TIMEOUT_MS);
      await this.#reconciler.loadNow(modelId, versionOf(request.body), timeout);
    });
  }

  /** Such a version takes no memory. */
  @Post(':model/unload')
  unload(
    @CurrentPrincipal() principal: Principal,
    @Param('model') modelId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answer(reply, async () => {
      authorise(principal, 'operator');
      this.#reconciler.find(modelId, versionOf(request.body));
    });
  }

  async #answer(reply: FastifyReply, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      await reply.status(200).send({});
    } catch (error) {
      answerError(reply, error, this.#logger);
    }
  }
}

function versionOf(body: unknown): string | undefined {
  const parsed = bodySchema.safeParse(body ?? undefined);
  if (!parsed.success)
    throw new AppError('request.invalid', { field: 'parameters.version', message: 'parameters.version must be the name of a version.' });
  return parsed.data?.parameters?.version;
}

import { Inject, Injectable } from '@nestjs/common';
import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER, type InternalTokenSigner, type Principal } from '@weir/access';
import { AppError, type Clock } from '@weir/kernel';
import { CLOCK, TOKEN_SIGNER } from '@weir/platform/service';
import { request } from 'undici';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import { grantFor } from './grants.ts';
import { Router } from './routing.ts';

const TIMEOUT_MS = 5_000;

/** A model's signature as the worker that has it loaded tells it, under the model's public name. */
@Injectable()
export class ModelMetadata {
  constructor(
    @Inject(CATALOGUE) private readonly catalogue: Catalogue,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(TOKEN_SIGNER) private readonly signer: InternalTokenSigner,
    @Inject(Router) private readonly router: Router,
  ) {}

  /** @throws model.not_found, subscription.required, model.not_ready, worker.unreachable */
  async read(principal: Principal, model: string, version: string | undefined, requestId: string): Promise<unknown> {
    const { deployment } = grantFor(this.catalogue, { principal, model, version }, this.clock.now());
    const worker = this.router.choose(deployment, new Set());
    try {
      const answer = await request(
        `${worker.url}/v2/models/${encodeURIComponent(deployment.modelId)}/versions/${encodeURIComponent(deployment.version)}`,
        {
          headers: { [INTERNAL_TOKEN_HEADER]: await this.signer.sign(principal, 'worker'), [REQUEST_ID_HEADER]: requestId },
          headersTimeout: TIMEOUT_MS,
          bodyTimeout: TIMEOUT_MS,
        },
      );
      const described = (await answer.body.json()) as Record<string, unknown>;
      if (answer.statusCode !== 200) throw new AppError('model.not_ready');
      return { ...described, name: deployment.model, versions: [deployment.version] };
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError('worker.unreachable', { cause: error });
    }
  }
}

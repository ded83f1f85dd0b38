import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError, type Clock } from '@weir/kernel';
import { DATATYPES, type ModelMetadata } from '@weir/open-inference';
import { CLOCK, SETTINGS } from '@weir/platform/service';
import { z } from 'zod';
import type { GatewaySettings } from '../settings.ts';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import { grantFor } from './grants.ts';
import { Router } from './routing.ts';
import { WorkerClient } from './worker-client.ts';

const tensorsSchema = z.array(z.looseObject({ name: z.string(), datatype: z.enum(DATATYPES), shape: z.array(z.number()) }));

const metadataSchema = z.looseObject({
  platform: z.string().default(''),
  inputs: tensorsSchema,
  outputs: tensorsSchema,
});

/** A model's signature as the worker that serves it tells it, under the model's public name. */
@Injectable()
export class ModelSignatures {
  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<GatewaySettings, 'inferenceTimeoutMs'>,
    @Inject(CATALOGUE) private readonly catalogue: Catalogue,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(Router) private readonly router: Router,
    @Inject(WorkerClient) private readonly workers: WorkerClient,
  ) {}

  /** @throws access.forbidden, model.not_found, subscription.required, model.not_ready, worker.unreachable, request.timeout */
  async read(principal: Principal, model: string, version: string | undefined, requestId: string): Promise<ModelMetadata> {
    authorise(principal, 'models.read');
    const { deployment } = grantFor(this.catalogue, { principal, model, version }, this.clock.now());
    const worker = this.router.choose(deployment, new Set());
    const described = metadataSchema.safeParse(
      await this.workers.ask({
        url: worker.url,
        path: `/v2/models/${encodeURIComponent(deployment.modelId)}/versions/${encodeURIComponent(deployment.version)}`,
        principal,
        requestId,
        // The worker may have to load the model first.
        timeoutMs: this.settings.inferenceTimeoutMs,
      }),
    );
    if (!described.success) throw new AppError('model.failed', { cause: described.error });
    return { ...described.data, name: deployment.model, versions: [deployment.version] };
  }

  /** @returns its public name, and whether a worker takes calls of it. @throws access.forbidden, model.not_found, subscription.required */
  readiness(principal: Principal, model: string, version: string | undefined): { readonly name: string; readonly ready: boolean } {
    const { deployment } = grantFor(this.catalogue, { principal, model, version }, this.clock.now());
    return { name: deployment.model, ready: this.catalogue.readyWorkersFor(deployment.versionId).length > 0 };
  }
}

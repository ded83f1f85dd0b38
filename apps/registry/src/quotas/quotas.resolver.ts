import { Inject } from '@nestjs/common';
import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { parseInput } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { setModelQuotasSchema, type Quotas, type QuotaUse } from './quota.ts';
import { ModelQuotasType, SetModelQuotasInput, SetModelQuotasPayload, type QuotaUseType } from './quotas.graph.ts';
import { QuotasService } from './quotas.service.ts';

@Resolver(() => ModelQuotasType)
export class QuotasResolver {
  readonly #quotas: QuotasService;

  constructor(@Inject(QuotasService) quotas: QuotasService) {
    this.#quotas = quotas;
  }

  @Query(() => ModelQuotasType, {
    description: "Quotas of a tenant's models and their use: the caller's own tenant, or any for operators.",
  })
  async modelQuotas(
    @CurrentPrincipal() principal: Principal,
    @Args('tenantId', { type: () => ID, nullable: true, description: "The tenant; by default the caller's own." }) tenantId?: string | null,
  ): Promise<ModelQuotasType> {
    return toGraph(await this.#quotas.read(principal, tenantId ?? undefined));
  }

  @Mutation(() => SetModelQuotasPayload, { description: 'Sets quotas of a tenant; for the operator.' })
  async setModelQuotas(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => SetModelQuotasInput, description: 'The quotas.' }) input: SetModelQuotasInput,
  ): Promise<SetModelQuotasPayload> {
    return { quotas: toGraph(await this.#quotas.set(principal, parseInput(setModelQuotasSchema, input))) };
  }
}

function toGraph({ tenantId, used, allowed }: QuotaUse): ModelQuotasType {
  const use = (quota: keyof Quotas): QuotaUseType => ({
    used: used[quota],
    allowed: Number.isFinite(allowed[quota]) ? allowed[quota] : null,
  });
  return { tenantId, artifactBytes: use('artifactBytes'), versions: use('versions'), memoryBytes: use('memoryBytes') };
}

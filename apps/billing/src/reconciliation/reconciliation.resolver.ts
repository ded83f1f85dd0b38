import { Inject } from '@nestjs/common';
import { Args, Field, Float, ID, ObjectType, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { DateTime } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { ReconciliationService } from './reconciliation.service.ts';

@ObjectType('BillingDifference', { description: 'A total of a month that metering and billing do not have alike.' })
class BillingDifferenceType {
  @Field(() => String, { description: 'Meter: requests, inputs, input-tokens, audio-seconds.' })
  meter!: string;

  @Field(() => ID, { description: 'The price list that the calls were priced by.' })
  priceListId!: string;

  @Field(() => String, { description: 'ISO 4217.' })
  currency!: string;

  @Field(() => String, { description: 'Units by metering, an exact decimal.' })
  meteredQuantity!: string;

  @Field(() => String, { description: 'Units by billing, an exact decimal.' })
  billedQuantity!: string;

  @Field(() => Float, { description: 'Calls by metering.' })
  meteredCalls!: number;

  @Field(() => Float, { description: 'Calls by billing.' })
  billedCalls!: number;
}

@ObjectType('BillingReconciliation', { description: "Comparison of billing's and metering's totals of a calendar month (UTC)." })
class BillingReconciliationType {
  @Field(() => ID, { description: 'The tenant.' })
  tenantId!: string;

  @Field(() => DateTime, { description: 'Start of the month.' })
  periodStart!: Date;

  @Field(() => DateTime, { description: 'End (exclusive) of the hours that were compared.' })
  through!: Date;

  @Field(() => DateTime, { description: 'When metering stated the totals that were compared.' })
  statedAt!: Date;

  @Field(() => Boolean, { description: 'Does everything agree?' })
  isReconciled!: boolean;

  @Field(() => DateTime, { nullable: true, description: 'Since when it does not agree; null while it agrees.' })
  unequalSince!: Date | null;

  @Field(() => [BillingDifferenceType], { description: 'Totals that differ.' })
  differences!: BillingDifferenceType[];
}

@Resolver(() => BillingReconciliationType)
export class ReconciliationResolver {
  readonly #reconciliation: ReconciliationService;

  constructor(@Inject(ReconciliationService) reconciliation: ReconciliationService) {
    this.#reconciliation = reconciliation;
  }

  @Query(() => [BillingReconciliationType], {
    description:
      "Comparison of billing's and metering's totals, for the operator: the months of a tenant, newest first; without a tenant those of all tenants that do not agree. At most 100.",
  })
  async billingReconciliation(
    @CurrentPrincipal() principal: Principal,
    @Args('tenantId', { type: () => ID, nullable: true, description: 'The tenant.' }) tenantId?: string | null,
  ): Promise<BillingReconciliationType[]> {
    const periods = await this.#reconciliation.find(principal, tenantId ?? null);
    return periods.map((period) => ({
      ...period,
      isReconciled: period.unequalSince === null,
      differences: [...period.differences],
    }));
  }
}

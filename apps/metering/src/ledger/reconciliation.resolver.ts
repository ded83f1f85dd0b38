import { Inject } from '@nestjs/common';
import { Args, Field, Float, ID, ObjectType, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { CurrentPrincipal } from '@weir/platform/http';
import type { Reconciliation } from './reconciliation.ts';
import { ReconciliationService } from './reconciliation.service.ts';

@ObjectType('MeteringDifference', { description: 'A sum that is not what the entries of the ledger add up to.' })
class MeteringDifferenceType {
  @Field(() => String, { description: 'Which sums: minute, hour, day, or totals (what billing is told).' })
  sums!: string;

  @Field(() => String, { description: 'Name of the model.' })
  model!: string;

  @Field(() => String, { description: 'What was counted.' })
  meter!: string;

  @Field(() => ID, { description: 'The price list that the calls were priced by.' })
  priceListId!: string;

  @Field(() => String, { description: 'ISO 4217.' })
  currency!: string;

  @Field(() => String, { description: 'Units by the ledger, an exact decimal.' })
  ledgerQuantity!: string;

  @Field(() => String, { description: 'Units by the sums, an exact decimal.' })
  summedQuantity!: string;

  @Field(() => String, { description: 'Cost by the ledger, an exact decimal.' })
  ledgerCost!: string;

  @Field(() => String, { description: 'Cost by the sums, an exact decimal.' })
  summedCost!: string;

  @Field(() => Float, { description: 'Calls by the ledger.' })
  ledgerCalls!: number;

  @Field(() => Float, { description: 'Calls by the sums.' })
  summedCalls!: number;

  @Field(() => Float, { description: 'Calls that name this meter first, by the ledger; over all meters each call once.' })
  ledgerLeadingCalls!: number;

  @Field(() => Float, { description: 'Calls that name this meter first, by the sums.' })
  summedLeadingCalls!: number;
}

@ObjectType('MeteringReconciliation', { description: 'Whether everything that was summed up agrees with the ledger, to the last digit.' })
class MeteringReconciliationType {
  @Field(() => ID, { description: 'The tenant.' })
  tenantId!: string;

  @Field(() => Float, { description: 'Calls in the ledger.' })
  calls!: number;

  @Field(() => Boolean, { description: 'Does everything agree?' })
  isReconciled!: boolean;

  @Field(() => [MeteringDifferenceType], { description: 'What does not, at most 100.' })
  differences!: MeteringDifferenceType[];
}

@Resolver(() => MeteringReconciliationType)
export class ReconciliationResolver {
  readonly #reconciliation: ReconciliationService;

  constructor(@Inject(ReconciliationService) reconciliation: ReconciliationService) {
    this.#reconciliation = reconciliation;
  }

  @Query(() => MeteringReconciliationType, {
    description: "Compares a tenant's ledger with everything summed from it; for the operator. Reads every call of the tenant.",
  })
  async meteringReconciliation(
    @CurrentPrincipal() principal: Principal,
    @Args('tenantId', { type: () => ID, description: 'The tenant.' }) tenantId: string,
  ): Promise<Reconciliation> {
    return this.#reconciliation.reconcile(principal, tenantId);
  }
}

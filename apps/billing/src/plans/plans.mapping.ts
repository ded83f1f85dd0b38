import { isOperator, type Principal } from '@weir/access';
import type { PriceList } from '@weir/contracts';
import type { PricedPlan } from './plan.ts';
import type { PlanType, PriceListType } from './plans.graph.ts';

export function priceListToGraph(list: PriceList): PriceListType {
  return { id: list.id, currency: list.currency, effectiveFrom: new Date(list.effectiveFrom), rates: list.rates };
}

/** A plan as the principal may see it: which other tenants it is for is shown to operators alone. */
export function planToGraph(principal: Principal, { audience, ...plan }: PricedPlan): PlanType {
  return {
    ...plan,
    models: [...plan.models],
    audience: plan.isPublic || !isOperator(principal) ? null : [...audience],
    priceList: plan.priceList === null ? null : priceListToGraph(plan.priceList),
  };
}

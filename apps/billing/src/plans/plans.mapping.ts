import type { PriceList } from '@weir/contracts';
import type { PricedPlan } from './plan.ts';
import type { PlanType, PriceListType } from './plans.graph.ts';

export function priceListToGraph(list: PriceList): PriceListType {
  return { id: list.id, currency: list.currency, effectiveFrom: new Date(list.effectiveFrom), rates: list.rates };
}

export function planToGraph(plan: PricedPlan): PlanType {
  return { ...plan, models: [...plan.models], priceList: plan.priceList === null ? null : priceListToGraph(plan.priceList) };
}

import type { EventEnvelope, PeriodTotalled, PriceList, UsageRolled } from '@weir/contracts';
import { compilePriceList } from '@weir/pricing';

/** Nothing was used before the platform was made. */
const EARLIEST_MS = Date.UTC(2020, 0, 1);

/**
 * Why an hour's total can never be put on an invoice, or null when it can. `list` is the price list that it names, if billing
 * has it. What is refused here would be charged to the wrong tenant, could not be priced, or could not be stored.
 */
export function refusal(event: EventEnvelope<UsageRolled>, list: PriceList | undefined): string | null {
  const sum = event.data;
  if (event.tenant !== sum.tenantId) return 'the tenant of the envelope is not the tenant of the payload';
  if (sum.quantity.startsWith('-')) return 'the quantity is negative';
  if (!(Date.parse(sum.hourStart) >= EARLIEST_MS)) return 'its hour is before 2020';
  const text = sum.tenantId + sum.modelId + sum.priceListId;
  if (text.includes('\u0000') || !text.isWellFormed()) return 'a text holds a character that cannot be stored';
  if (list === undefined) return 'billing published no such price list';
  if (list.currency !== sum.currency) return 'the price list is in another currency';
  if (!compilePriceList(list).hasPrice(sum.model)) return 'the price list has no price for the model';
  return null;
}

/** Why the totals of a period cannot be compared with, or null when they can. */
export function refusalOfTotals({ tenant, data }: Pick<EventEnvelope<PeriodTotalled>, 'tenant' | 'data'>): string | null {
  if (tenant !== data.tenantId) return 'the tenant of the envelope is not the tenant of the payload';
  if (!(Date.parse(data.periodStart) >= EARLIEST_MS)) return 'its period is before 2020';
  const text = [data.tenantId, ...data.totals.map(({ priceListId }) => priceListId)].join('');
  if (text.includes('\u0000') || !text.isWellFormed()) return 'a text holds a character that cannot be stored';
  return null;
}

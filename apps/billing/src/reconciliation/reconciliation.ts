import type { PeriodTotal } from '@weir/contracts';
import { Decimal } from '@weir/kernel';

/** A total of a period that metering and billing do not have alike; `0` and 0 where one of them has none. */
export interface UsageDifference {
  readonly meter: string;
  readonly priceListId: string;
  readonly currency: string;
  readonly meteredQuantity: string;
  readonly billedQuantity: string;
  readonly meteredCalls: number;
  readonly billedCalls: number;
}

/** Whether the sums of a period are what metering counted, as of its last totals. */
export interface UsageReconciliation {
  readonly tenantId: string;
  /** Start of the calendar month, UTC. */
  readonly periodStart: Date;
  /** End (exclusive) of the hours that were compared. */
  readonly through: Date;
  /** When metering wrote the totals. */
  readonly statedAt: Date;
  readonly differences: readonly UsageDifference[];
  /** When the totals were written that did not agree any more; null while they agree. */
  readonly unequalSince: Date | null;
}

/** Differences between the totals of metering and the sums of billing. */
export function differencesOf(metered: readonly PeriodTotal[], billed: readonly PeriodTotal[]): UsageDifference[] {
  const keyOf = ({ meter, priceListId, currency }: PeriodTotal): string => JSON.stringify([meter, priceListId, currency]);
  const [meteredBy, billedBy] = [metered, billed].map((totals) => new Map(totals.map((total) => [keyOf(total), total])));
  const keys = [...new Set([...metered, ...billed].map(keyOf))].toSorted();
  return keys.flatMap((key) => {
    const [here, there] = [meteredBy?.get(key), billedBy?.get(key)];
    const either = here ?? there;
    const [meteredQuantity, billedQuantity] = [here?.quantity ?? '0', there?.quantity ?? '0'];
    const [meteredCalls, billedCalls] = [here?.calls ?? 0, there?.calls ?? 0];
    const isEqual = meteredCalls === billedCalls && new Decimal(meteredQuantity).eq(billedQuantity);
    if (either === undefined || isEqual) return [];
    const { meter, priceListId, currency } = either;
    return [{ meter, priceListId, currency, meteredQuantity, billedQuantity, meteredCalls, billedCalls }];
  });
}

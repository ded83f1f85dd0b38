import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { currency, decimal, id, instant, modelName } from './fields.ts';
import { meterSchema } from './inference.ts';

export const rateSchema = z.object({
  /** The model that it prices; `*` for every model without a rate of its own for the meter. */
  model: z.union([z.literal('*'), modelName]),
  meter: meterSchema,
  /** Price of `per` units. */
  unitAmount: decimal,
  /** Units that `unitAmount` buys: 1, 1000, 1000000. A power of ten, so that dividing by it leaves nothing to round. */
  per: z
    .number()
    .int()
    .min(1)
    .max(1_000_000_000)
    .refine((per) => /^10*$/.test(String(per)), { error: 'must be a power of ten' }),
});
/** What a meter of a model costs. */
export type Rate = z.infer<typeof rateSchema>;

export const priceListSchema = z.object({
  id,
  planId: id,
  currency,
  /** From when the plan is priced by it, until the plan's next list. Price lists are never changed. */
  effectiveFrom: instant,
  rates: z
    .array(rateSchema)
    .max(10_000)
    .refine((rates) => new Set(rates.map((rate) => `${rate.model} ${rate.meter}`)).size === rates.length, {
      error: 'one rate for each model and meter',
    }),
});
/** The prices of a plan from a moment on. */
export type PriceList = z.infer<typeof priceListSchema>;

/** A plan has a new price list. */
export const priceListPublished = defineEvent({
  type: 'billing.price-list.published.v1',
  topic: 'billing.prices',
  schema: priceListSchema,
  key: (list) => list.id,
});

export const entitlementSchema = z.object({
  tenantId: id,
  subscriptionId: id,
  planId: id,
  currency,
  /** Names of models that the plan covers; `*` covers every public model. */
  models: z.array(z.union([z.literal('*'), modelName])).max(10_000),
});
/** What a tenant may call, and by which plan it pays. */
export type Entitlement = z.infer<typeof entitlementSchema>;

/** The entitlement as it is now; a tombstone when the subscription ended. */
export const entitlementChanged = defineEvent({
  type: 'billing.entitlement.changed.v1',
  topic: 'billing.entitlements',
  schema: entitlementSchema,
  key: (entitlement) => entitlement.tenantId,
});

export const usageMismatchedSchema = z.object({
  tenantId: id,
  /** Start of the calendar month in UTC. */
  periodStart: instant,
  /** End (exclusive) of the hours that were compared. */
  through: instant,
});
/** Billing's sums of a period are not what metering counted. */
export type UsageMismatched = z.infer<typeof usageMismatchedSchema>;

/** A period's sums do not agree, or no longer in the same way: metering repeats them. A tombstone when they agree again. */
export const usageMismatched = defineEvent({
  type: 'billing.usage.mismatched.v1',
  topic: 'billing.usage-mismatches',
  schema: usageMismatchedSchema,
  key: (mismatch) => usageMismatchKey(mismatch),
});

/** Key of a tenant's period in `billing.usage-mismatches`. */
export function usageMismatchKey({ tenantId, periodStart }: Pick<UsageMismatched, 'tenantId' | 'periodStart'>): string {
  return `${tenantId}/${periodStart.slice(0, 7)}`;
}

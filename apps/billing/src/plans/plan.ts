import { rateSchema, type PriceList, type Rate } from '@weir/contracts';
import { z } from 'zod';

/** What a tenant may subscribe to. */
export interface Plan {
  readonly id: string;
  readonly code: string;
  readonly displayName: string;
  /** ISO 4217; the same for all of its price lists. */
  readonly currency: string;
  /** Names of the models that it covers; `*` covers every public one. */
  readonly models: readonly string[];
  /** Every tenant may see it and subscribe to it. */
  readonly isPublic: boolean;
  /** Ids of the tenants that may see it and subscribe to it; empty where it is public. */
  readonly audience: readonly string[];
  readonly createdAt: Date;
}

/** A plan, and the price list that it is priced by now. */
export interface PricedPlan extends Plan {
  /** Null before its first list takes effect. */
  readonly priceList: PriceList | null;
}

/** A price is never negative, and small enough that no amount leaves the 40 digits a side of a decimal: 12 before the point, 12 behind it. */
const UNIT_AMOUNT_PATTERN = /^\d{1,12}(\.\d{1,12})?$/;

const ratesInput = z
  .array(
    rateSchema.extend({
      unitAmount: z
        .string()
        .regex(UNIT_AMOUNT_PATTERN, { error: 'must be a decimal number of 0 or more with at most 12 digits before and behind the point' }),
    }),
  )
  .min(1)
  .max(10_000)
  .superRefine((rates, context) => {
    const seen = new Set<string>();
    rates.forEach(({ model, meter }, index) => {
      const key = `${model} ${meter}`;
      if (seen.has(key)) context.addIssue({ code: 'custom', path: [index], message: 'is the second rate for its model and meter' });
      seen.add(key);
    });
  });

/** The short name of a plan. */
export const planCode = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: 'must be up to 63 lower-case letters, digits and hyphens' });

/** `*` denotes all tenants in a transaction's scope, so it is no tenant. */
export const tenantId = z
  .string()
  .min(1)
  .max(64)
  .refine((text) => text !== '*' && !text.includes('\u0000'), { error: 'must be the id of a tenant' });

/** The tenants that a plan is for; absent or null means every tenant. An empty list is refused: no tenant could use the plan. */
const audienceInput = z
  .array(tenantId)
  .min(1)
  .max(1_000)
  .refine((ids) => new Set(ids).size === ids.length, { error: 'must name each tenant once' })
  .nullish();

const knownCurrencies = new Set(Intl.supportedValuesOf('currency'));

/** What the operator sends to make a plan. */
export const createPlanInput = z
  .object({
    code: planCode,
    displayName: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .refine((text) => !text.includes('\u0000') && text.isWellFormed(), { error: 'must be plain text' }),
    currency: z.string().refine((code) => knownCurrencies.has(code), { error: 'must be the code of a currency (ISO 4217), such as EUR' }),
    models: z.array(rateSchema.shape.model).min(1).max(10_000),
    audience: audienceInput,
    rates: ratesInput,
  })
  .superRefine(({ models, rates }, context) => {
    if (new Set(models).size !== models.length)
      context.addIssue({ code: 'custom', path: ['models'], message: 'must name each model once' });
    for (const model of unpricedModels(models, rates))
      context.addIssue({ code: 'custom', path: ['rates'], message: `must hold a rate for ${model}` });
  });
export type CreatePlan = z.output<typeof createPlanInput>;

/** What the operator sends to price a plan anew. */
export const publishPriceListInput = z.object({
  planCode,
  effectiveFrom: z.date().nullish(),
  rates: ratesInput,
});
export type PublishPriceList = z.output<typeof publishPriceListInput>;

/** Operator input that changes a plan's audience. */
export const setPlanAudienceInput = z.object({ planCode, audience: audienceInput });
export type SetPlanAudience = z.output<typeof setPlanAudienceInput>;

/** Models that a plan names and that no rate prices: every call of them would fail with price.missing. */
export function unpricedModels(models: readonly string[], rates: readonly Pick<Rate, 'model'>[]): string[] {
  const priced = new Set(rates.map((rate) => rate.model));
  return priced.has('*') ? [] : models.filter((model) => model !== '*' && !priced.has(model));
}

import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { currency, decimal, id, instant, modelName } from './fields.ts';
import { meterSchema } from './inference.ts';

export const usageRolledSchema = z.object({
  tenantId: id,
  /** Start of the hour in UTC that it sums. */
  hourStart: instant,
  modelId: id,
  model: modelName,
  meter: meterSchema,
  priceListId: id,
  currency,
  /** Sum of the hour so far: a total, not a difference, so that repeating it changes nothing. */
  quantity: decimal,
  /** Calls that the sum holds. */
  calls: z.number().int().nonnegative(),
  /** Grows with every change of this sum; readers ignore a lower one than they have. */
  revision: z.number().int().positive(),
});
/** What a tenant used in an hour, of one model by one meter at one price list. */
export type UsageRolled = z.infer<typeof usageRolledSchema>;

/** The sum of an hour changed. */
export const usageRolled = defineEvent({
  type: 'metering.usage.rolled.v1',
  topic: 'metering.usage-rolled',
  schema: usageRolledSchema,
  key: (sum) => sum.tenantId,
});

export const periodTotalSchema = z.object({
  meter: meterSchema,
  priceListId: id,
  currency,
  quantity: decimal,
  /** Calls that used the meter. */
  calls: z.number().int().nonnegative(),
});
/** Usage of a tenant in a period by one meter at one price list, of all models together. */
export type PeriodTotal = z.infer<typeof periodTotalSchema>;

export const periodTotalledSchema = z.object({
  tenantId: id,
  /** Start of the calendar month in UTC. */
  periodStart: instant,
  /** End (exclusive) of the hours in the totals: hours that are over when this is written, of the period. */
  through: instant,
  totals: z.array(periodTotalSchema).max(5_000),
});
/** Totals of a period as metering counted it, for a consumer of the hourly sums to compare with. */
export type PeriodTotalled = z.infer<typeof periodTotalledSchema>;

/** The totals of a period, after every hourly sum of the tenant that is in them: they have the same key. */
export const periodTotalled = defineEvent({
  type: 'metering.period.totalled.v1',
  topic: 'metering.usage-rolled',
  schema: periodTotalledSchema,
  key: (period) => period.tenantId,
});

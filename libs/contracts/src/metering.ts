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

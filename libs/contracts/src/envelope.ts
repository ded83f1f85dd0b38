import { z } from 'zod';
import type { TopicName } from './topics.ts';

/**
 * What travels on the bus around every payload. The attributes are those of CloudEvents 1.0
 * (`id`, `type`, `source`, `time` as `occurredAt`) plus the tenant and the trace.
 */
export const envelopeSchema = z.object({
  /** UUID version 7; the same event keeps its id however often it is delivered. */
  id: z.string().min(1).max(64),
  type: z.string().min(1).max(100),
  /** Who wrote it: a process such as `registry-1f3c9a02`, or a service, where a repetition may come from another of its processes. */
  source: z.string().min(1).max(100),
  /** The tenant that it is about; null for facts about the platform. */
  tenant: z.string().min(1).max(64).nullable(),
  occurredAt: z.iso.datetime(),
  /** W3C trace context of the work that caused it. */
  traceparent: z.string().max(64).optional(),
  /** Version of the payload's schema; contracts only grow, so readers accept higher ones. */
  schema: z.number().int().positive(),
  data: z.unknown(),
});

export interface EventEnvelope<T = unknown> {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly tenant: string | null;
  readonly occurredAt: string;
  readonly traceparent?: string | undefined;
  readonly schema: number;
  readonly data: T;
}

/** One kind of event: its name, where it travels, its payload and the key that orders it. */
export interface EventDefinition<T> {
  /** `owner.thing.happened.v1` */
  readonly type: string;
  readonly topic: TopicName;
  readonly schemaVersion: number;
  readonly schema: z.ZodType<T>;
  /** Records with the same key keep their order; in a projection the last one wins. */
  key(data: T): string;
}

export function defineEvent<T>(definition: Omit<EventDefinition<T>, 'schemaVersion'> & { schemaVersion?: number }): EventDefinition<T> {
  return { schemaVersion: 1, ...definition };
}

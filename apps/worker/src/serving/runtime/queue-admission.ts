import { AppError } from '@weir/kernel';
import type { BatchQueue } from './batch-queue.ts';

const MIN_RETRY_AFTER_MS = 1_000;
const MAX_RETRY_AFTER_MS = 30_000;
/**
 * Share of the free room that one tenant's backlog may take (dynamic thresholds; Choudhury, Hahne 1998): a tenant by itself gets
 * 4/5 of the queue, n tenants that fill it together get 4/(1 + 4n) each.
 */
const ALPHA = 4;
/**
 * Calls bring all of their items, so that tenants that came first may have overrun the queue. Whatever they did, a tenant gets this part
 * of an equal share.
 */
const GUARANTEED = 1 / 2;

/** Bounds of a queue. */
export interface QueueLimits {
  /** Items that may wait when a call comes; a call that is let in brings all of its items. */
  readonly queueLength: number;
  /** Maximum estimated queue delay for admission, in milliseconds, under fair service. */
  readonly queueWaitMs: number;
}

/** @throws worker.overloaded when the tenant's share of the queue is full, or it would wait longer than the bound */
export function assertAdmitted(queue: BatchQueue, limits: QueueLimits, tenantId: string, expectedWaitMs: number): void {
  const { queueLength, queueWaitMs } = limits;
  const own = queue.sizeOf(tenantId);
  const tenants = queue.tenants + (own === 0 ? 1 : 0);
  const share = Math.max(ALPHA * (queueLength - queue.size), (GUARANTEED * queueLength) / tenants);
  const hasRoom = own < share && tenants <= queueLength;
  if (hasRoom && expectedWaitMs <= queueWaitMs) return;
  throw new AppError('worker.overloaded', {
    retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, Math.ceil(expectedWaitMs))),
  });
}

import { entitlementSchema, type Entitlement } from '@weir/contracts';
import { idInput } from '@weir/platform/graphql';
import { z } from 'zod';
import { planCode, type Plan } from '../plans/plan.ts';

/** A tenant's subscription to a plan. */
export interface Subscription {
  readonly id: string;
  readonly tenantId: string;
  readonly plan: Plan;
  readonly startedAt: Date;
  /** Null while it is active. */
  readonly endedAt: Date | null;
}

/** What the tenant may call by its subscription, and how it pays: what the gateway is told. */
export function entitlementOf(subscription: Subscription): Entitlement {
  const { id, tenantId, plan } = subscription;
  return entitlementSchema.parse({ tenantId, subscriptionId: id, planId: plan.id, currency: plan.currency, models: plan.models });
}

/** What the owner of a tenant sends to subscribe. */
export const subscribeInput = z.object({ planCode });
export type Subscribe = z.output<typeof subscribeInput>;

/** What the operator sends to subscribe a tenant. */
export const subscribeTenantInput = z.object({ tenantId: idInput, planCode });
export type SubscribeTenant = z.output<typeof subscribeTenantInput>;

/** What the operator sends to end a tenant's subscription. */
export const endSubscriptionInput = z.object({ tenantId: idInput });
export type EndSubscription = z.output<typeof endSubscriptionInput>;

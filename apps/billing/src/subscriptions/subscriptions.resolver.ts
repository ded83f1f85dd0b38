import { Inject } from '@nestjs/common';
import { Args, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { parseInput } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { planToGraph } from '../plans/plans.mapping.ts';
import { PlansService } from '../plans/plans.service.ts';
import { endSubscriptionInput, subscribeInput, subscribeTenantInput, type Subscription } from './subscription.ts';
import {
  EndSubscriptionInput,
  EndSubscriptionPayload,
  SubscribeInput,
  SubscribePayload,
  SubscribeTenantInput,
  SubscribeTenantPayload,
  SubscriptionType,
} from './subscriptions.graph.ts';
import { SubscriptionsService } from './subscriptions.service.ts';

@Resolver(() => SubscriptionType)
export class SubscriptionsResolver {
  readonly #subscriptions: SubscriptionsService;
  readonly #plans: PlansService;

  constructor(@Inject(SubscriptionsService) subscriptions: SubscriptionsService, @Inject(PlansService) plans: PlansService) {
    this.#subscriptions = subscriptions;
    this.#plans = plans;
  }

  @Query(() => SubscriptionType, {
    nullable: true,
    description: "The tenant's active subscription; null when it has none. Needs the scope invoices.read.",
  })
  async subscription(@CurrentPrincipal() principal: Principal): Promise<SubscriptionType | null> {
    const subscription = await this.#subscriptions.current(principal);
    return subscription === null ? null : this.#toGraph(principal, subscription);
  }

  @Mutation(() => SubscribePayload, { description: 'Subscribes the tenant to a plan; needs the scope subscriptions.manage.' })
  async subscribe(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => SubscribeInput, description: 'What to subscribe to.' }) input: SubscribeInput,
  ): Promise<SubscribePayload> {
    return {
      subscription: await this.#toGraph(principal, await this.#subscriptions.subscribe(principal, parseInput(subscribeInput, input))),
    };
  }

  @Mutation(() => SubscribeTenantPayload, { description: 'Subscribes a tenant to a plan; for the operator.' })
  async subscribeTenant(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => SubscribeTenantInput, description: 'Whom to subscribe to what.' }) input: SubscribeTenantInput,
  ): Promise<SubscribeTenantPayload> {
    return {
      subscription: await this.#toGraph(
        principal,
        await this.#subscriptions.subscribeTenant(principal, parseInput(subscribeTenantInput, input)),
      ),
    };
  }

  @Mutation(() => EndSubscriptionPayload, { description: "Ends a tenant's subscription now; for the operator." })
  async endSubscription(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => EndSubscriptionInput, description: 'Whose subscription to end.' }) input: EndSubscriptionInput,
  ): Promise<EndSubscriptionPayload> {
    return {
      subscription: await this.#toGraph(principal, await this.#subscriptions.end(principal, parseInput(endSubscriptionInput, input))),
    };
  }

  async #toGraph(principal: Principal, { id, plan, startedAt, endedAt }: Subscription): Promise<SubscriptionType> {
    return { id, plan: planToGraph(principal, await this.#plans.priced(principal, plan)), startedAt, endedAt };
  }
}

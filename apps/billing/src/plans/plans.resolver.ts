import { Inject } from '@nestjs/common';
import { Args, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { PageArgs, parseInput, type Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { createPlanInput, publishPriceListInput, setPlanAudienceInput } from './plan.ts';
import {
  CreatePlanInput,
  CreatePlanPayload,
  PlanConnection,
  PlanType,
  PublishPriceListInput,
  PublishPriceListPayload,
  SetPlanAudienceInput,
  SetPlanAudiencePayload,
} from './plans.graph.ts';
import { planToGraph, priceListToGraph } from './plans.mapping.ts';
import { PlansService } from './plans.service.ts';

@Resolver(() => PlanType)
export class PlansResolver {
  readonly #plans: PlansService;

  constructor(@Inject(PlansService) plans: PlansService) {
    this.#plans = plans;
  }

  @Query(() => PlanConnection, {
    description: 'The plans that the tenant may subscribe to, by code; all plans for operators. Needs the scope models.read.',
  })
  async plans(@CurrentPrincipal() principal: Principal, @Args() args: PageArgs): Promise<Connection<PlanType>> {
    const page = await this.#plans.list(principal, args);
    const edges = page.edges.map(({ cursor, node }) => ({ cursor, node: planToGraph(principal, node) }));
    return { edges, nodes: edges.map(({ node }) => node), pageInfo: page.pageInfo };
  }

  @Mutation(() => CreatePlanPayload, { description: 'Makes a plan with its first price list; for the operator.' })
  async createPlan(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => CreatePlanInput, description: 'The plan.' }) input: CreatePlanInput,
  ): Promise<CreatePlanPayload> {
    return { plan: planToGraph(principal, await this.#plans.create(principal, parseInput(createPlanInput, input))) };
  }

  @Mutation(() => SetPlanAudiencePayload, {
    description: 'Sets which tenants may see a plan and subscribe to it; subscriptions that exist go on. For the operator.',
  })
  async setPlanAudience(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => SetPlanAudienceInput, description: 'The plan and its tenants.' }) input: SetPlanAudienceInput,
  ): Promise<SetPlanAudiencePayload> {
    return { plan: planToGraph(principal, await this.#plans.setAudience(principal, parseInput(setPlanAudienceInput, input))) };
  }

  @Mutation(() => PublishPriceListPayload, {
    description: 'Prices a plan anew; what was used before stays priced as it was. For the operator.',
  })
  async publishPriceList(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { type: () => PublishPriceListInput, description: 'The new prices.' }) input: PublishPriceListInput,
  ): Promise<PublishPriceListPayload> {
    return { priceList: priceListToGraph(await this.#plans.publishPriceList(principal, parseInput(publishPriceListInput, input))) };
  }
}

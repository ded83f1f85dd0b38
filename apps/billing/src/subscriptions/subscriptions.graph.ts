import { Field, ID, InputType, ObjectType } from '@nestjs/graphql';
import { DateTime } from '@weir/platform/graphql';
import { PlanType } from '../plans/plans.graph.ts';

// A type called Subscription would be taken for the root of GraphQL's subscriptions where the graph is composed.
@ObjectType('PlanSubscription', { description: "A tenant's subscription to a plan." })
export class SubscriptionType {
  @Field(() => ID, { description: 'Opaque.' })
  id!: string;

  @Field(() => PlanType, { description: 'What it covers and costs.' })
  plan!: PlanType;

  @Field(() => DateTime, { description: 'From when it counts.' })
  startedAt!: Date;

  @Field(() => DateTime, { nullable: true, description: 'When it ended; null while it is active.' })
  endedAt!: Date | null;
}

@InputType('SubscribeInput', { description: 'What to subscribe to.' })
export class SubscribeInput {
  @Field(() => String, { description: 'Short name of the plan.' })
  planCode!: string;
}

@ObjectType('SubscribePayload', { description: 'The subscription that was started.' })
export class SubscribePayload {
  @Field(() => SubscriptionType, { description: 'The subscription.' })
  subscription!: SubscriptionType;
}

@InputType('SubscribeTenantInput', { description: 'Whom to subscribe to what.' })
export class SubscribeTenantInput {
  @Field(() => ID, { description: 'The tenant.' })
  tenantId!: string;

  @Field(() => String, { description: 'Short name of the plan.' })
  planCode!: string;
}

@ObjectType('SubscribeTenantPayload', { description: 'The subscription that was started.' })
export class SubscribeTenantPayload {
  @Field(() => SubscriptionType, { description: 'The subscription.' })
  subscription!: SubscriptionType;
}

@InputType('EndSubscriptionInput', { description: 'Whose subscription to end.' })
export class EndSubscriptionInput {
  @Field(() => ID, { description: 'The tenant.' })
  tenantId!: string;
}

@ObjectType('EndSubscriptionPayload', { description: 'The subscription that was ended.' })
export class EndSubscriptionPayload {
  @Field(() => SubscriptionType, { description: 'The subscription.' })
  subscription!: SubscriptionType;
}

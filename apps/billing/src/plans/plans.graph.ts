import { Field, ID, InputType, Int, ObjectType } from '@nestjs/graphql';
import { connectionOf, DateTime } from '@weir/platform/graphql';

@ObjectType('Rate', { description: 'What a meter of a model costs.' })
export class RateType {
  @Field(() => String, { description: 'Name of the model; * for every model without a rate of its own for the meter.' })
  model!: string;

  @Field(() => String, { description: 'Meter: requests, inputs, input-tokens, audio-seconds.' })
  meter!: string;

  @Field(() => String, { description: 'Price of `per` units, an exact decimal.' })
  unitAmount!: string;

  @Field(() => Int, { description: 'Units that the price buys: a power of ten.' })
  per!: number;
}

@ObjectType('PriceList', { description: 'The prices of a plan from a moment on; never changed.' })
export class PriceListType {
  @Field(() => ID, { description: 'Names the list in receipts and invoice lines.' })
  id!: string;

  @Field(() => String, { description: 'ISO 4217.' })
  currency!: string;

  @Field(() => DateTime, { description: "From when it counts, until the plan's next list." })
  effectiveFrom!: Date;

  @Field(() => [RateType], { description: 'A meter without a rate is free.' })
  rates!: RateType[];
}

@ObjectType('Plan', { description: 'What a tenant may subscribe to.' })
export class PlanType {
  @Field(() => ID, { description: 'Opaque.' })
  id!: string;

  @Field(() => String, { description: 'Short name, to subscribe by.' })
  code!: string;

  @Field(() => String, { description: 'Name for people.' })
  displayName!: string;

  @Field(() => String, { description: 'ISO 4217.' })
  currency!: string;

  @Field(() => [String], { description: 'Names of the models that it covers; * covers every public one.' })
  models!: string[];

  @Field(() => Boolean, { description: 'Every tenant may see it and subscribe to it; else it is for named tenants alone.' })
  isPublic!: boolean;

  @Field(() => [ID], { nullable: true, description: 'Ids of the tenants that it is for, for operators; null where it is public.' })
  audience!: string[] | null;

  @Field(() => PriceListType, { nullable: true, description: 'What it costs now; null before its first price list takes effect.' })
  priceList!: PriceListType | null;
}

@ObjectType('PlanConnection', { description: 'Plans by code.' })
export class PlanConnection extends connectionOf(PlanType, 'Plan') {}

@InputType('RateInput', { description: 'What a meter of a model is to cost.' })
export class RateInput {
  @Field(() => String, { description: 'Name of the model; * for every model without a rate of its own for the meter.' })
  model!: string;

  @Field(() => String, { description: 'Meter: requests, inputs, input-tokens or audio-seconds.' })
  meter!: string;

  @Field(() => String, { description: 'Price of `per` units: a decimal of 0 or more, at most 12 digits before and behind the point.' })
  unitAmount!: string;

  @Field(() => Int, { description: 'Units that the price buys: 1, 10, 100 … 1000000000.' })
  per!: number;
}

@InputType('CreatePlanInput', { description: 'A plan with its first price list.' })
export class CreatePlanInput {
  @Field(() => String, { description: 'Short name: up to 63 lower-case letters, digits and hyphens.' })
  code!: string;

  @Field(() => String, { description: 'Name for people, up to 100 characters.' })
  displayName!: string;

  @Field(() => String, { description: 'ISO 4217, such as EUR; for all of its price lists.' })
  currency!: string;

  @Field(() => [String], { description: 'Names of the models that it covers; * covers every public one.' })
  models!: string[];

  @Field(() => [ID], {
    nullable: true,
    description: 'Ids of the tenants that may see it and subscribe to it, 1 to 1000; without it every tenant may.',
  })
  audience?: string[] | null;

  @Field(() => [RateInput], { description: 'Its first prices, one for each model and meter. Each model that the plan names needs one.' })
  rates!: RateInput[];
}

@ObjectType('CreatePlanPayload', { description: 'The plan that was made.' })
export class CreatePlanPayload {
  @Field(() => PlanType, { description: 'The plan.' })
  plan!: PlanType;
}

@InputType('SetPlanAudienceInput', { description: 'Which tenants a plan is for.' })
export class SetPlanAudienceInput {
  @Field(() => String, { description: 'Short name of the plan.' })
  planCode!: string;

  @Field(() => [ID], {
    nullable: true,
    description: 'Ids of the tenants that may see it and subscribe to it, 1 to 1000; without it every tenant may.',
  })
  audience?: string[] | null;
}

@ObjectType('SetPlanAudiencePayload', { description: 'The plan with its new audience.' })
export class SetPlanAudiencePayload {
  @Field(() => PlanType, { description: 'The plan.' })
  plan!: PlanType;
}

@InputType('PublishPriceListInput', { description: 'New prices of a plan.' })
export class PublishPriceListInput {
  @Field(() => String, { description: 'Short name of the plan.' })
  planCode!: string;

  @Field(() => DateTime, { nullable: true, description: 'From when they count; by default from now. Not in the past.' })
  effectiveFrom?: Date | null;

  @Field(() => [RateInput], { description: 'All prices from then on, one for each model and meter.' })
  rates!: RateInput[];
}

@ObjectType('PublishPriceListPayload', { description: 'The price list that was published.' })
export class PublishPriceListPayload {
  @Field(() => PriceListType, { description: 'The price list.' })
  priceList!: PriceListType;
}

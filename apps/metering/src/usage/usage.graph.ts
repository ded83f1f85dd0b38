import { Field, Float, InputType, ObjectType, registerEnumType } from '@nestjs/graphql';
import { connectionOf, DateTime, MoneyType } from '@weir/platform/graphql';

/** Values are those of the domain's `Grain`. */
export const GrainEnum = { MINUTE: 'minute', HOUR: 'hour', DAY: 'day' } as const;
registerEnumType(GrainEnum, { name: 'UsageGrain', description: 'Length of the periods that usage is summed over, in UTC.' });

/** Values are those of the domain's `UsageDimension`. */
export const DimensionEnum = { MODEL: 'model', PRINCIPAL: 'principal', METER: 'meter' } as const;
registerEnumType(DimensionEnum, {
  name: 'UsageDimension',
  description: 'What rows of usage are kept apart by.',
  valuesMap: {
    MODEL: { description: 'The model that was called.' },
    PRINCIPAL: { description: 'The API key or person that called.' },
    METER: { description: 'What was counted; only then do rows have a quantity.' },
  },
});

@InputType('UsageFilter', { description: 'Which usage to show.' })
export class UsageFilterInput {
  @Field(() => DateTime, {
    nullable: true,
    description: 'Periods that hold or follow this moment; by default an hour, a day or 30 days before `to`, by grain.',
  })
  from?: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Periods that start before this moment; by default now.' })
  to?: Date | null;

  @Field(() => GrainEnum, {
    nullable: true,
    description: 'Length of the periods: MINUTE (range at most 7 days), HOUR (366 days) or DAY (10 years); by default HOUR.',
  })
  grain?: 'minute' | 'hour' | 'day' | null;

  @Field(() => String, { nullable: true, description: 'Only calls of the model with this name.' })
  model?: string | null;

  @Field(() => String, { nullable: true, description: 'Only calls of this API key or person.' })
  principalId?: string | null;
}

@ObjectType('UsageRow', { description: 'What was used in one period.' })
export class UsageRowType {
  @Field(() => DateTime, { description: 'Start of the period.' })
  bucketStart!: Date;

  @Field(() => String, { nullable: true, description: 'Name of the model; null unless grouped by MODEL.' })
  model!: string | null;

  @Field(() => String, { nullable: true, description: 'api-key or person; null unless grouped by PRINCIPAL.' })
  principalKind!: string | null;

  @Field(() => String, { nullable: true, description: 'The API key or person that called; null unless grouped by PRINCIPAL.' })
  principalId!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Meter: requests, inputs, input-tokens, audio-seconds; null unless grouped by METER.',
  })
  meter!: string | null;

  @Field(() => String, { nullable: true, description: 'Units used, an exact decimal; null unless grouped by METER.' })
  quantity!: string | null;

  @Field(() => Float, { description: 'Calls; grouped by METER, the calls that used the meter.' })
  calls!: number;

  @Field(() => MoneyType, { description: 'What it cost, exact.' })
  cost!: MoneyType;
}

@ObjectType('MeterQuantity', { description: 'Units used of a meter.' })
export class MeterQuantityType {
  @Field(() => String, { description: 'Meter: requests, inputs, input-tokens, audio-seconds.' })
  meter!: string;

  @Field(() => String, { description: 'Units used, an exact decimal.' })
  quantity!: string;
}

@ObjectType('UsageTotals', { description: 'Sums of everything that the filter covers, whatever the page.' })
export class UsageTotalsType {
  @Field(() => Float, { description: 'Calls.' })
  calls!: number;

  @Field(() => [MoneyType], { description: 'What they cost, exact: one amount for each currency.' })
  costs!: MoneyType[];

  @Field(() => [MeterQuantityType], { description: 'Units used, by meter.' })
  quantities!: MeterQuantityType[];
}

@ObjectType('UsageConnection', { description: 'Usage by period, newest first.' })
export class UsageConnection extends connectionOf(UsageRowType, 'UsageRow') {}

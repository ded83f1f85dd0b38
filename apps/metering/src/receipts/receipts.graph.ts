import { ArgsType, Field, Float, ID, ObjectType, registerEnumType } from '@nestjs/graphql';
import { connectionOf, DateTime, MoneyType, PageArgs } from '@weir/platform/graphql';
import type { UsageOutcome } from '@weir/contracts';
import { MeterQuantityType } from '../usage/usage.graph.ts';

export const CallOutcome = { ANSWERED: 'answered', TIMED_OUT: 'timed_out', CANCELLED: 'cancelled' } as const;

registerEnumType(CallOutcome, {
  name: 'CallOutcome',
  description: 'How a metered call ended.',
  valuesMap: {
    ANSWERED: { description: 'It was answered.' },
    TIMED_OUT: { description: 'Its deadline passed after it had begun to run; what had begun is billed.' },
    CANCELLED: { description: 'Its caller disconnected after it had begun to run; what had begun is billed.' },
  },
});

@ObjectType('Receipt', { description: 'Usage and cost of one metered call.' })
export class ReceiptType {
  @Field(() => ID, { description: 'The receiptId that the call was answered with, or that its error names.' })
  id!: string;

  @Field(() => DateTime, { description: 'When the call was answered.' })
  occurredAt!: Date;

  @Field(() => String, { description: 'Name of the model.' })
  model!: string;

  @Field(() => String, { description: 'Version of the model that answered.' })
  version!: string;

  @Field(() => String, { description: 'Through which surface the call came: graphql or open-inference.' })
  surface!: string;

  @Field(() => String, { description: 'api-key or person.' })
  principalKind!: string;

  @Field(() => ID, { description: 'The API key or person that called.' })
  principalId!: string;

  @Field(() => [MeterQuantityType], { description: 'Units used, by meter.' })
  quantities!: MeterQuantityType[];

  @Field(() => ID, { description: 'The price list by which the cost was computed.' })
  priceListId!: string;

  @Field(() => MoneyType, { description: 'What the call cost, exact.' })
  cost!: MoneyType;

  @Field(() => Float, { description: 'Milliseconds from the arrival of the request to the answer.' })
  latencyMs!: number;

  @Field(() => CallOutcome, { description: 'How the call ended.' })
  outcome!: UsageOutcome;
}

@ObjectType('ReceiptConnection', { description: 'Receipts, newest first.' })
export class ReceiptConnection extends connectionOf(ReceiptType, 'Receipt') {}

/** Which receipts, and which page of them. */
@ArgsType()
export class ReceiptsArgs extends PageArgs {
  @Field(() => DateTime, { nullable: true, description: 'Only calls at or after this moment.' })
  from?: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Only calls before this moment.' })
  to?: Date | null;

  @Field(() => String, { nullable: true, description: 'Only calls of the model with this name.' })
  model?: string | null;

  @Field(() => String, { nullable: true, description: 'Only calls of this API key or person.' })
  principalId?: string | null;
}

import { Field, Float, ID, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { connectionOf, DateTime, MoneyType } from '@weir/platform/graphql';

/** Values are those of the domain's `Invoice.status`. */
export const InvoiceStatusEnum = { OPEN: 'open' } as const;
registerEnumType(InvoiceStatusEnum, {
  name: 'InvoiceStatus',
  description: 'How far an invoice has come.',
  valuesMap: { OPEN: { description: 'A preview: usage is still being added.' } },
});

@ObjectType('InvoiceLine', { description: 'What one model cost by one meter at one price list.' })
export class InvoiceLineType {
  @Field(() => String, { description: 'Name of the model.' })
  model!: string;

  @Field(() => String, { description: 'Meter: requests, inputs, input-tokens, audio-seconds.' })
  meter!: string;

  @Field(() => String, { description: 'The line in words.' })
  description!: string;

  @Field(() => String, { description: "Units used, an exact decimal: what the tenant's receipts add up to." })
  quantity!: string;

  @Field(() => String, { description: 'Price of `per` units, an exact decimal; 0 where the meter is free.' })
  unitAmount!: string;

  @Field(() => Int, { description: 'Units that the price buys.' })
  per!: number;

  @Field(() => String, { description: "quantity × unitAmount / per in the invoice's currency, exact." })
  amount!: string;

  @Field(() => Float, { description: 'Calls that used the meter.' })
  calls!: number;

  @Field(() => ID, { description: 'The price list that it was priced by; receipts name it too.' })
  priceListId!: string;
}

@ObjectType('Invoice', { description: 'What the tenant owes for a calendar month (UTC) in a currency.' })
export class InvoiceType {
  @Field(() => ID, { description: 'Opaque.' })
  id!: string;

  @Field(() => String, { nullable: true, description: 'Number on paper; null while it is open.' })
  number!: string | null;

  @Field(() => InvoiceStatusEnum, { description: 'How far it has come.' })
  status!: 'open';

  @Field(() => DateTime, { description: 'First moment of the period.' })
  periodStart!: Date;

  @Field(() => DateTime, { description: 'First moment behind the period.' })
  periodEnd!: Date;

  @Field(() => String, { description: 'ISO 4217.' })
  currency!: string;

  @Field(() => [InvoiceLineType], { description: 'By model, meter and price list.' })
  lines!: InvoiceLineType[];

  @Field(() => MoneyType, { description: 'Exact sum of the lines.' })
  total!: MoneyType;

  @Field(() => MoneyType, { description: "The total as it is to be paid: rounded half to even to the currency's minor unit." })
  payable!: MoneyType;

  @Field(() => DateTime, {
    nullable: true,
    description: 'Start of the latest hour of which usage is included; null when nothing was used.',
  })
  usageThrough!: Date | null;
}

@ObjectType('InvoiceConnection', { description: 'Invoices, newest period first.' })
export class InvoiceConnection extends connectionOf(InvoiceType, 'Invoice') {}

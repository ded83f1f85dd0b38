import { Field, ObjectType } from '@nestjs/graphql';

/** An amount in a currency, as the graph shows it. */
@ObjectType('Money', { description: 'An amount in a currency; exact, never rounded unless the field says so.' })
export class MoneyType {
  @Field(() => String, { description: 'A plain decimal number, such as 12.50.' })
  amount!: string;

  @Field(() => String, { description: 'ISO 4217, such as EUR.' })
  currency!: string;
}

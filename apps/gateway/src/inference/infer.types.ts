import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { Priority } from '@weir/open-inference';
import { MoneyType } from '@weir/platform/graphql';
import { InferOptions, ModelInput, SequenceInput } from './model-input.types.ts';
import { ModelOutput, type ModelOutputValue } from './model-output.types.ts';

const InferPriority = { INTERACTIVE: 'interactive', BATCH: 'batch' } as const satisfies Record<string, Priority>;
registerEnumType(InferPriority, {
  name: 'InferPriority',
  description: 'In what order calls that wait for a model are taken.',
  valuesMap: {
    INTERACTIVE: { description: 'Somebody waits for the answer. When none is given.' },
    BATCH: { description: 'After all interactive ones.' },
  },
});

/** What is said of a call, or of many at once, beside their inputs. */
@InputType({ isAbstract: true })
export class InferTerms {
  @Field(() => String, { description: 'Name of the model, such as digits.' })
  readonly model!: string;

  @Field(() => String, { nullable: true, description: 'Alias to follow; production when none is given.' })
  readonly alias?: string | null;

  @Field(() => String, { nullable: true, description: 'When given, the alias must point to this version.' })
  readonly version?: string | null;

  @Field(() => InferOptions, { nullable: true, description: 'What may be chosen about the answer.' })
  readonly options?: InferOptions | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'How long you wait for the answer, in milliseconds from the arrival of the request: at least 1, at most what the operator allows (30 000 when nothing else is set), which is also the default. After it: request.timeout.',
  })
  readonly timeoutMs?: number | null;

  @Field(() => InferPriority, { nullable: true, description: 'Whether others may go before; INTERACTIVE when it is not given.' })
  readonly priority?: Priority | null;
}

@InputType({ description: 'A call of a model.' })
export class InferInput extends InferTerms {
  @Field(() => ModelInput, { description: 'What the model is given.' })
  readonly input!: ModelInput;

  @Field(() => SequenceInput, { nullable: true, description: 'For models that keep a state between calls.' })
  readonly sequence?: SequenceInput | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Your name for this call, 1 to 255 characters: sent again within 24 hours with the same call it gets the same answer and is not billed again; with another call it is refused (idempotency.key_reused), and so is a repeat whose answer is not stored (idempotency.answer_not_stored).',
  })
  readonly idempotencyKey?: string | null;
}

/** How many calls one inferMany may hold. */
export const MAX_CALLS = 256;

@InputType({ description: 'Many calls of one model.' })
export class InferManyInput extends InferTerms {
  @Field(() => [ModelInput], { description: `1 to ${MAX_CALLS}: each is a call of its own, with its own result, limits and receipt.` })
  readonly inputs!: readonly ModelInput[];

  @Field(() => [String], {
    nullable: true,
    description: 'An idempotency key for each input, in the same order: those that were answered are not run or billed again.',
  })
  readonly idempotencyKeys?: readonly string[] | null;
}

@ObjectType({ description: 'How much of something a call used.' })
export class UsageQuantityType {
  @Field(() => String, {
    description:
      'What was counted: requests (the call itself), inputs (items in it), input-tokens (tokens that the model read), audio-seconds.',
  })
  readonly meter!: string;

  @Field(() => String, { description: 'How much: a plain decimal.' })
  readonly quantity!: string;
}

@ObjectType({ description: 'The answer to a call; its usage is recorded.' })
export class InferPayload {
  @Field(() => ID, { description: 'Id of the call.' })
  readonly id!: string;

  @Field(() => String, { description: 'Name of the model.' })
  readonly model!: string;

  @Field(() => String, { description: 'Version that answered.' })
  readonly version!: string;

  @Field(() => ModelOutput, { description: 'What the model answered.' })
  readonly output!: ModelOutputValue;

  @Field(() => [UsageQuantityType], { description: 'What the call used.' })
  readonly usage!: readonly UsageQuantityType[];

  @Field(() => MoneyType, { description: 'What the call costs, exact.' })
  readonly cost!: MoneyType;

  @Field(() => ID, { description: 'Id of the receipt; receipt(id:) shows it some moments later.' })
  readonly receiptId!: string;

  @Field(() => Float, { description: 'From the arrival of the request to the answer, in milliseconds.' })
  readonly latencyMs!: number;

  @Field(() => Boolean, {
    description:
      'Whether this is the answer of an earlier call with the same idempotency key, kept from then: usage, cost and receipt are of that call.',
  })
  readonly isRepeated!: boolean;
}

@ObjectType({ description: 'Why a call of many was not answered; it costs nothing.' })
export class InferError {
  @Field(() => String, { description: 'Code of the error table, such as limit.requests.' })
  readonly code!: string;

  @Field(() => String, { description: 'What went wrong, for people.' })
  readonly message!: string;

  @Field(() => String, { nullable: true, description: 'The part of the arguments that is wrong, such as input.inputs[3].text.' })
  readonly field!: string | null;

  @Field(() => Float, { nullable: true, description: 'After how many milliseconds the same call may succeed.' })
  readonly retryAfterMs!: number | null;
}

@ObjectType({ description: 'What became of one call of many: either a result or an error.' })
export class InferItem {
  @Field(() => InferPayload, { nullable: true, description: 'The answer.' })
  readonly result!: InferPayload | null;

  @Field(() => InferError, { nullable: true, description: 'Why there is none.' })
  readonly error!: InferError | null;
}

@ObjectType({ description: 'What became of many calls.' })
export class InferManyPayload {
  @Field(() => [InferItem], { description: 'One for each input, in the same order.' })
  readonly items!: readonly InferItem[];

  @Field(() => MoneyType, { description: 'What the answers cost together, without those that are repeated from earlier calls.' })
  readonly cost!: MoneyType;

  @Field(() => Float, { description: 'From the arrival of the request to the last answer, in milliseconds.' })
  readonly latencyMs!: number;
}

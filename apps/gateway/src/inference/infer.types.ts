import { createUnionType, Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { DATATYPES } from '@weir/open-inference';
import { JsonScalar, MoneyType } from '@weir/platform/graphql';

const enumOf = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(values.map((value) => [value.toUpperCase().replaceAll('-', '_'), value]));

const Datatype = enumOf(DATATYPES);
registerEnumType(Datatype, { name: 'Datatype', description: 'Element type of a tensor, in the terms of the Open Inference Protocol v2' });

@InputType({ description: 'A picture' })
export class ImageInput {
  @Field(() => String, { description: 'The PNG, JPEG or WebP file in base64' })
  readonly base64!: string;
}

@InputType({ description: 'A tensor for models that take numbers' })
export class TensorInput {
  @Field(() => String, { description: "Name of the model's input; model(name:) shows them" })
  readonly name!: string;

  @Field(() => Datatype, { description: 'Element type' })
  readonly datatype!: string;

  @Field(() => [Int], { description: 'Size of each dimension; the first is the batch' })
  readonly shape!: number[];

  @Field(() => JsonScalar, { description: 'The elements in row-major order, as one flat list' })
  readonly data!: unknown;
}

@InputType({ description: 'What the model is given: exactly one of the fields', isOneOf: true })
export class ModelInput {
  @Field(() => String, { nullable: true, description: 'A text' })
  readonly text?: string;

  @Field(() => [String], { nullable: true, description: 'Up to 256 texts, answered in the same order' })
  readonly texts?: string[];

  @Field(() => ImageInput, { nullable: true, description: 'A picture' })
  readonly image?: ImageInput;

  @Field(() => [TensorInput], { nullable: true, description: 'Tensors by name' })
  readonly tensors?: TensorInput[];
}

@InputType({ description: 'A call of a model' })
export class InferInput {
  @Field(() => String, { description: 'Name of the model, such as digits' })
  readonly model!: string;

  @Field(() => String, { nullable: true, description: 'Alias to follow; production when none is given' })
  readonly alias?: string;

  @Field(() => String, { nullable: true, description: 'When given, the alias must point to this version' })
  readonly version?: string;

  @Field(() => ModelInput, { description: 'What the model is given' })
  readonly input!: ModelInput;
}

@ObjectType({ description: 'A label and how sure the model is of it' })
export class ScoredLabel {
  @Field(() => String, { description: "The label, from the model's configuration" })
  readonly label!: string;

  @Field(() => Float, { description: 'Probability, 0 to 1' })
  readonly score!: number;
}

@ObjectType({ description: 'The labels of one input' })
export class Classification {
  @Field(() => [ScoredLabel], { description: 'Best first' })
  readonly labels!: ScoredLabel[];
}

@ObjectType({ description: 'The labels of several inputs' })
export class Classifications {
  @Field(() => [Classification], { description: 'One for each input, in the same order' })
  readonly items!: Classification[];
}

@ObjectType({ description: 'A tensor that the model returned' })
export class Tensor {
  @Field(() => String, { description: 'Name of the output' })
  readonly name!: string;

  @Field(() => Datatype, { description: 'Element type' })
  readonly datatype!: string;

  @Field(() => [Int], { description: 'Size of each dimension' })
  readonly shape!: number[];

  @Field(() => JsonScalar, { description: 'The elements in row-major order' })
  readonly data!: unknown;
}

@ObjectType({ description: 'Raw outputs of a model' })
export class Tensors {
  @Field(() => [Tensor], { description: 'The outputs' })
  readonly tensors!: Tensor[];
}

export type ModelOutputValue = Classification | Classifications | Tensors;

export const ModelOutput = createUnionType({
  name: 'ModelOutput',
  description: "What the model answered, by the model's task",
  types: () => [Classification, Classifications, Tensors] as const,
  resolveType: (value: ModelOutputValue) => ('labels' in value ? Classification : 'items' in value ? Classifications : Tensors),
});

@ObjectType({ description: 'How much of something a call used' })
export class UsageQuantityType {
  @Field(() => String, {
    description: 'What was counted: requests (the call itself), inputs (items in it), input-tokens (tokens that the model read)',
  })
  readonly meter!: string;

  @Field(() => String, { description: 'How much: a plain decimal' })
  readonly quantity!: string;
}

@ObjectType({ description: 'The answer to a call; its usage is recorded' })
export class InferPayload {
  @Field(() => ID, { description: 'Id of the call' })
  readonly id!: string;

  @Field(() => String, { description: 'Name of the model' })
  readonly model!: string;

  @Field(() => String, { description: 'Version that answered' })
  readonly version!: string;

  @Field(() => ModelOutput, { description: 'What the model answered' })
  readonly output!: ModelOutputValue;

  @Field(() => [UsageQuantityType], { description: 'What the call used' })
  readonly usage!: readonly UsageQuantityType[];

  @Field(() => MoneyType, { description: 'What the call costs, exact' })
  readonly cost!: MoneyType;

  @Field(() => ID, { description: 'Id of the receipt; receipt(id:) shows it some moments later' })
  readonly receiptId!: string;

  @Field(() => Float, { description: 'From the arrival of the request to the answer, in milliseconds' })
  readonly latencyMs!: number;
}

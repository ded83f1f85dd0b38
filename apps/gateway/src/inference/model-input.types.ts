import { Field, Float, InputType, Int } from '@nestjs/graphql';
import { JsonScalar } from '@weir/platform/graphql';
import { Datatype } from './datatype.ts';

@InputType({ description: 'A picture.' })
export class ImageInput {
  @Field(() => String, { description: 'The PNG, JPEG or WebP file in base64.' })
  readonly base64!: string;
}

@InputType({ description: 'Sound.' })
export class AudioInput {
  @Field(() => String, { description: 'The WAV file in base64.' })
  readonly base64!: string;
}

@InputType({ description: 'A tensor under a name of the network itself.' })
export class TensorInput {
  @Field(() => String, { description: "Name of the network's input; model(name:) shows them." })
  readonly name!: string;

  @Field(() => Datatype, { description: 'Element type.' })
  readonly datatype!: string;

  @Field(() => [Int], { description: 'Size of each dimension; the first is the batch. An empty list is a single number.' })
  readonly shape!: number[];

  @Field(() => JsonScalar, {
    description:
      'The elements in row-major order: one flat list, or lists in lists as shape says. Whole numbers for the integer types (64 bits: up to 2^53), true and false for BOOL, texts for BYTES.',
  })
  readonly data!: unknown;
}

const LIST = 'At least one, at most what the operator allows (64 when nothing else is set); answered in the same order.';

@InputType({
  description:
    'What the model is given: exactly one of the fields, one that fits the task of the model. A list of items is one call and one receipt; inferMany has a receipt for each.',
  isOneOf: true,
})
export class ModelInput {
  @Field(() => String, { nullable: true, description: 'A text, for models of text.' })
  readonly text?: string;

  @Field(() => [String], { nullable: true, description: `Texts. ${LIST}` })
  readonly texts?: string[];

  @Field(() => ImageInput, { nullable: true, description: 'A picture, for models of pictures.' })
  readonly image?: ImageInput;

  @Field(() => [ImageInput], { nullable: true, description: `Pictures. ${LIST}` })
  readonly images?: ImageInput[];

  @Field(() => AudioInput, { nullable: true, description: 'Sound, for models of sound.' })
  readonly audio?: AudioInput;

  @Field(() => JsonScalar, {
    nullable: true,
    description: 'A record, for tabular models: a JSON object from the name of each feature to its value, a number or a text.',
  })
  readonly record?: unknown;

  @Field(() => [JsonScalar], { nullable: true, description: `Records. ${LIST}` })
  readonly records?: unknown[];

  @Field(() => String, { nullable: true, description: 'Id of a user, for recommendation: one that the model was trained with.' })
  readonly user?: string;

  @Field(() => [String], { nullable: true, description: `Ids of users. ${LIST}` })
  readonly users?: string[];

  @Field(() => Int, {
    nullable: true,
    description: 'A seed, for image generation: 0 to 2147483647. The same seed gives the same picture.',
  })
  readonly seed?: number;

  @Field(() => [Int], { nullable: true, description: `Seeds. ${LIST}` })
  readonly seeds?: number[];

  @Field(() => [Float], {
    nullable: true,
    description: "A latent vector, for image generation: as many numbers as the model's decoder takes.",
  })
  readonly latent?: number[];

  @Field(() => [[Float]], { nullable: true, description: `Latent vectors, all of one length. ${LIST}` })
  readonly latents?: number[][];

  @Field(() => [TensorInput], {
    nullable: true,
    description: 'Tensors by name, for any model with one network: nothing is prepared, and the raw outputs are answered. Up to 64.',
  })
  readonly tensors?: TensorInput[];
}

@InputType({ description: "What a caller may choose about the answer, where the model's task has the choice." })
export class InferOptions {
  @Field(() => Int, {
    nullable: true,
    description: 'Most labels or items of an answer, 1 to 1000; 10 when it is not given. For classification and recommendation.',
  })
  readonly topK?: number | null;

  @Field(() => Float, {
    nullable: true,
    description: "What scores less is left out, 0 to 1; the model's own when it is not given. For objects, lines of text and speech.",
  })
  readonly threshold?: number | null;
}

@InputType({ description: 'The sequence of calls that a call is part of: the worker keeps the state of the model between them.' })
export class SequenceInput {
  @Field(() => String, { description: 'Names the sequence within your tenant and the model: 1 to 128 characters.' })
  readonly id!: string;

  @Field(() => Boolean, { nullable: true, description: 'True for the first call: it begins without a state.' })
  readonly start?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: 'True for the last call: the state is let go when it is answered.' })
  readonly end?: boolean | null;
}

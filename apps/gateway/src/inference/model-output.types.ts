import { createUnionType, Field, Float, Int, ObjectType } from '@nestjs/graphql';
import { JsonScalar } from '@weir/platform/graphql';
import { Datatype } from './datatype.ts';

const IN_ORDER = 'One for each input, in the same order.';

@ObjectType({ description: 'A label and how sure the model is of it.' })
export class ScoredLabel {
  @Field(() => String, { description: "The label, from the model's configuration." })
  readonly label!: string;

  @Field(() => Float, { description: 'Probability, 0 to 1.' })
  readonly score!: number;
}

@ObjectType({ description: 'The labels of one input.' })
export class Classification {
  @Field(() => [ScoredLabel], { description: 'Best first.' })
  readonly labels!: readonly ScoredLabel[];
}

@ObjectType({ description: 'The labels of several inputs.' })
export class Classifications {
  @Field(() => [Classification], { description: IN_ORDER })
  readonly items!: readonly Classification[];
}

@ObjectType({ description: 'A rectangle in pixels of the upright picture, from its top left corner.' })
export class Box {
  @Field(() => Float, { description: 'Left edge.' })
  readonly left!: number;

  @Field(() => Float, { description: 'Top edge.' })
  readonly top!: number;

  @Field(() => Float, { description: 'Right edge.' })
  readonly right!: number;

  @Field(() => Float, { description: 'Bottom edge.' })
  readonly bottom!: number;
}

@ObjectType({ description: 'An object in a picture.' })
export class DetectedObject {
  @Field(() => String, { description: 'What it is.' })
  readonly label!: string;

  @Field(() => Float, { description: 'Probability, 0 to 1.' })
  readonly score!: number;

  @Field(() => Box, { description: 'Where it is.' })
  readonly box!: Box;
}

@ObjectType({ description: 'The objects in one picture.' })
export class ObjectDetection {
  @Field(() => [DetectedObject], { description: 'Best first; empty when there is none.' })
  readonly objects!: readonly DetectedObject[];
}

@ObjectType({ description: 'The objects in several pictures.' })
export class ObjectDetections {
  @Field(() => [ObjectDetection], { description: IN_ORDER })
  readonly items!: readonly ObjectDetection[];
}

@ObjectType({ description: 'A point in pixels of the upright picture, from its top left corner.' })
export class Point {
  @Field(() => Float, { description: 'To the right.' })
  readonly x!: number;

  @Field(() => Float, { description: 'Downwards.' })
  readonly y!: number;
}

@ObjectType({ description: 'A line of text in a picture.' })
export class RecognisedLine {
  @Field(() => String, { description: 'What is written there.' })
  readonly text!: string;

  @Field(() => Float, { description: 'How sure the model is, 0 to 1.' })
  readonly score!: number;

  @Field(() => [Point], { description: "The line's four corners, clockwise from the top left one of the text." })
  readonly polygon!: readonly Point[];
}

@ObjectType({ description: 'The text in one picture.' })
export class RecognisedText {
  @Field(() => [RecognisedLine], { description: 'From the top; empty when there is none.' })
  readonly lines!: readonly RecognisedLine[];
}

@ObjectType({ description: 'The text in several pictures.' })
export class RecognisedTexts {
  @Field(() => [RecognisedText], { description: IN_ORDER })
  readonly items!: readonly RecognisedText[];
}

@ObjectType({ description: 'A stretch of a text that names something.' })
export class Entity {
  @Field(() => String, { description: 'What it is, such as PER.' })
  readonly label!: string;

  @Field(() => Float, { description: 'Probability, 0 to 1.' })
  readonly score!: number;

  @Field(() => String, { description: 'The stretch itself.' })
  readonly text!: string;

  @Field(() => Int, { description: 'Where it begins: UTF-16 code units before it.' })
  readonly start!: number;

  @Field(() => Int, { description: 'Where it ends: UTF-16 code units before what follows it.' })
  readonly end!: number;
}

@ObjectType({ description: 'What is named in one text.' })
export class TokenClassification {
  @Field(() => [Entity], { description: 'In the order of the text.' })
  readonly entities!: readonly Entity[];
}

@ObjectType({ description: 'What is named in several texts.' })
export class TokenClassifications {
  @Field(() => [TokenClassification], { description: IN_ORDER })
  readonly items!: readonly TokenClassification[];
}

@ObjectType({ description: 'What a text means, as a vector: alike texts have vectors in like directions.' })
export class Embedding {
  @Field(() => [Float], { description: 'The vector, as long as the model makes it; its Euclidean length is 1 where the model normalises.' })
  readonly vector!: readonly number[];
}

@ObjectType({ description: 'The vectors of several texts.' })
export class Embeddings {
  @Field(() => [Embedding], { description: IN_ORDER })
  readonly items!: readonly Embedding[];
}

@ObjectType({ description: 'The number that a model gives for one record.' })
export class Regression {
  @Field(() => Float, { description: 'In the unit of what the model was trained to tell.' })
  readonly value!: number;
}

@ObjectType({ description: 'The numbers for several records.' })
export class Regressions {
  @Field(() => [Regression], { description: IN_ORDER })
  readonly items!: readonly Regression[];
}

@ObjectType({ description: 'Something that a user may like.' })
export class RecommendedItem {
  @Field(() => String, { description: "The item, as the model's list of items names it." })
  readonly item!: string;

  @Field(() => Float, { description: "How much, on the model's own scale: only the order of one user's items means something." })
  readonly score!: number;
}

@ObjectType({ description: 'What one user may like.' })
export class Recommendation {
  @Field(() => [RecommendedItem], { description: 'Best first.' })
  readonly recommended!: readonly RecommendedItem[];
}

@ObjectType({ description: 'What several users may like.' })
export class Recommendations {
  @Field(() => [Recommendation], { description: IN_ORDER })
  readonly items!: readonly Recommendation[];
}

@ObjectType({ description: 'A picture that a model made.' })
export class GeneratedImage {
  @Field(() => String, { description: 'The PNG file in base64.' })
  readonly base64!: string;
}

@ObjectType({ description: 'Several pictures that a model made.' })
export class GeneratedImages {
  @Field(() => [GeneratedImage], { description: IN_ORDER })
  readonly items!: readonly GeneratedImage[];
}

@ObjectType({ description: 'A stretch of speech.' })
export class SpeechSegment {
  @Field(() => Float, { description: 'Where it begins, in seconds from the beginning of the sound.' })
  readonly startSeconds!: number;

  @Field(() => Float, { description: 'Where it ends, in seconds.' })
  readonly endSeconds!: number;
}

@ObjectType({ description: 'When somebody speaks.' })
export class SpeechActivity {
  @Field(() => [Float], {
    description: "Probability of speech in each frame, 0 to 1, in order of time; the model's frames are of one length.",
  })
  readonly frames!: readonly number[];

  @Field(() => [SpeechSegment], { description: 'In order of time.' })
  readonly segments!: readonly SpeechSegment[];
}

@ObjectType({ description: 'A tensor that the model returned.' })
export class Tensor {
  @Field(() => String, { description: 'Name of the output.' })
  readonly name!: string;

  @Field(() => Datatype, { description: 'Element type.' })
  readonly datatype!: string;

  @Field(() => [Int], { description: 'Size of each dimension.' })
  readonly shape!: readonly number[];

  @Field(() => JsonScalar, { description: 'The elements in row-major order, as one flat list.' })
  readonly data!: unknown;
}

@ObjectType({ description: 'Raw outputs of a model.' })
export class Tensors {
  @Field(() => [Tensor], { description: 'The outputs.' })
  readonly tensors!: readonly Tensor[];
}

/** The types of an output, by their names in the graph. */
interface ModelOutputTypes {
  Classification: Classification;
  Classifications: Classifications;
  ObjectDetection: ObjectDetection;
  ObjectDetections: ObjectDetections;
  RecognisedText: RecognisedText;
  RecognisedTexts: RecognisedTexts;
  TokenClassification: TokenClassification;
  TokenClassifications: TokenClassifications;
  Embedding: Embedding;
  Embeddings: Embeddings;
  Regression: Regression;
  Regressions: Regressions;
  Recommendation: Recommendation;
  Recommendations: Recommendations;
  GeneratedImage: GeneratedImage;
  GeneratedImages: GeneratedImages;
  SpeechActivity: SpeechActivity;
  Tensors: Tensors;
}

/** An output as resolvers give it: its fields, and the name of its type. */
export type ModelOutputValue = {
  [Name in keyof ModelOutputTypes]: ModelOutputTypes[Name] & { readonly __typename: Name };
}[keyof ModelOutputTypes];

export const ModelOutput = createUnionType({
  name: 'ModelOutput',
  description: "What the model answered, by the model's task, and by whether one input or a list was sent.",
  types: () =>
    [
      Classification,
      Classifications,
      ObjectDetection,
      ObjectDetections,
      RecognisedText,
      RecognisedTexts,
      TokenClassification,
      TokenClassifications,
      Embedding,
      Embeddings,
      Regression,
      Regressions,
      Recommendation,
      Recommendations,
      GeneratedImage,
      GeneratedImages,
      SpeechActivity,
      Tensors,
    ] as const,
  resolveType: (value: ModelOutputValue) => value.__typename,
});

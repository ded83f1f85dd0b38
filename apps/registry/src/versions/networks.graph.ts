import { Field, Float, Int, ObjectType } from '@nestjs/graphql';
import type { Datatype } from '@weir/open-inference';
import type { NetworkTensor } from './model-network.ts';

@ObjectType('ModelTensor', { description: 'A tensor that a network takes or gives.' })
export class ModelTensorType implements NetworkTensor {
  @Field(() => String, { description: 'Its name. Any text.' })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'What its elements are, in the terms of the Open Inference Protocol: FP32, INT64, BYTES (text) … Null: no such tensor can be answered.',
  })
  datatype!: Datatype | null;

  @Field(() => [Int], {
    nullable: true,
    description: 'Size of each axis; -1 where the caller chooses. Null where the network leaves open how many axes there are.',
  })
  shape!: number[] | null;

  @Field(() => [String], {
    nullable: 'itemsAndList',
    description:
      'Name of each axis that the caller chooses; axes of the same name have the same size. Null for a size that is fixed, or has no name.',
  })
  axisNames!: (string | null)[] | null;
}

@ObjectType({ description: 'The raw tensors that a network takes and gives.' })
export class ModelSignature {
  @Field(() => [ModelTensorType], { description: 'What it takes: all of them, with every call.' })
  inputs!: readonly NetworkTensor[];

  @Field(() => [ModelTensorType], { description: 'What it gives.' })
  outputs!: readonly NetworkTensor[];
}

@ObjectType('ModelNetwork', { description: 'A network that a version runs, as its file describes it.' })
export class ModelNetworkType {
  @Field(() => String, { description: 'What it is there for: model; or detector and recogniser, of a model that reads text in pictures.' })
  role!: string;

  @Field(() => String, { description: 'Format of its file: onnx.' })
  format!: string;

  @Field(() => Int, { nullable: true, description: "Version of ONNX's operators; null where it uses those of other sets alone." })
  opset!: number | null;

  @Field(() => Float, { description: 'Numbers in its weights and constants.' })
  parameterCount!: number;

  @Field(() => Float, { description: 'What these take in memory, in bytes.' })
  weightBytes!: number;

  @Field(() => ModelSignature, { description: 'The raw tensors that it takes and gives.' })
  signature!: ModelSignature;
}

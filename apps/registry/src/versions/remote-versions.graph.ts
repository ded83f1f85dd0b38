import { Field, InputType, ObjectType } from '@nestjs/graphql';
import type { BackEndKind, Task } from '@weir/contracts';
import { backEndValues, taskValues, visibilityValues } from '../models/models.graph.ts';
import type { Visibility } from './model-version.ts';

@ObjectType('ModelServer', { description: 'The server that runs a version which workers do not run themselves.' })
export class ModelServerType {
  @Field(() => String, { description: 'Its address.' })
  url!: string;

  @Field(() => String, { description: 'The model as it names it.' })
  model!: string;

  @Field(() => String, { nullable: true, description: "The model's version there; null: the server chooses." })
  version!: string | null;

  @Field(() => String, { nullable: true, description: 'Name of the secret that workers send to it.' })
  secretName!: string | null;
}

@InputType({ description: 'Another server, as workers are to call it.' })
export class RemoteBackEndInput {
  @Field(() => backEndValues, { description: 'What it speaks: OPEN_INFERENCE or OPENAI.' })
  kind!: BackEndKind;

  @Field(() => String, {
    description:
      'Its http or https address without credentials: what stands before /v2, or the base address that OpenAI clients are given, such as http://host:8000/v1.',
  })
  url!: string;

  @Field(() => String, { description: 'The model as the server names it.' })
  model!: string;

  @Field(() => String, { nullable: true, description: "The model's version there, for OPEN_INFERENCE; without it the server chooses." })
  version?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Name of the secret that workers send as Authorization: Bearer; a file of this name in their folder of secrets.',
  })
  secretName?: string | null;
}

@InputType({ description: 'A new version of a model that another server runs, and the model with it when it is the first.' })
export class PublishRemoteModelVersionInput {
  @Field(() => String, { description: 'Name of the model: a plain name.' })
  name!: string;

  @Field(() => String, { description: 'The version, such as 1.0.0. It can never be changed.' })
  version!: string;

  @Field(() => taskValues, {
    description:
      'What it does. A server of the Open Inference Protocol must take and give the tensors of the task, or any with TENSORS; one of the OpenAI API does FEATURE_EXTRACTION.',
  })
  task!: Task;

  @Field(() => RemoteBackEndInput, { description: 'The server. Workers call its address from where they are.' })
  backend!: RemoteBackEndInput;

  @Field(() => String, { nullable: true, description: 'Name for people, 1 to 100 characters.' })
  displayName?: string | null;

  @Field(() => String, { nullable: true, description: 'What it does, at most 2,000 characters.' })
  description?: string | null;

  @Field(() => String, { nullable: true, description: 'Under which licence, mostly an SPDX identifier.' })
  licence?: string | null;

  @Field(() => visibilityValues, { defaultValue: visibilityValues.PRIVATE, description: 'Who may see the model.' })
  visibility!: Visibility;

  @Field(() => [String], { nullable: true, description: 'Up to 20 words of lower-case letters, digits and hyphens.' })
  tags?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Names of its classes, in the model's order." })
  labels?: string[] | null;

  @Field(() => String, { nullable: true, description: 'An alias to point at the version at once, such as production.' })
  alias?: string | null;
}

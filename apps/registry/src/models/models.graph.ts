import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { BackEndKind, Task } from '@weir/contracts';
import { connectionOf, JsonScalar } from '@weir/platform/graphql';
import type { ModelVersion, Visibility } from '../versions/model-version.ts';
import type { ModelExample, ModelMetric } from '../versions/package-metadata.ts';
import type { ModelAlias } from './model.ts';

export const taskValues = {
  IMAGE_CLASSIFICATION: 'image-classification',
  OBJECT_DETECTION: 'object-detection',
  IMAGE_TO_TEXT: 'image-to-text',
  TEXT_CLASSIFICATION: 'text-classification',
  TOKEN_CLASSIFICATION: 'token-classification',
  FEATURE_EXTRACTION: 'feature-extraction',
  TABULAR_CLASSIFICATION: 'tabular-classification',
  TABULAR_REGRESSION: 'tabular-regression',
  RECOMMENDATION: 'recommendation',
  IMAGE_GENERATION: 'image-generation',
  VOICE_ACTIVITY_DETECTION: 'voice-activity-detection',
  TENSORS: 'tensors',
} as const satisfies Record<string, Task>;
registerEnumType(taskValues, {
  name: 'ModelTask',
  description: 'What a model does.',
  valuesMap: {
    IMAGE_CLASSIFICATION: { description: 'Takes a picture, gives labels with scores.' },
    OBJECT_DETECTION: { description: 'Takes a picture, gives what is in it, with boxes.' },
    IMAGE_TO_TEXT: { description: 'Takes a picture, gives the lines of text in it, with their places.' },
    TEXT_CLASSIFICATION: { description: 'Takes a sentence, gives labels with scores.' },
    TOKEN_CLASSIFICATION: { description: 'Takes a text, gives the names, places and the like in it.' },
    FEATURE_EXTRACTION: { description: 'Takes a text, gives a vector: texts that mean alike have vectors that are alike.' },
    TABULAR_CLASSIFICATION: { description: 'Takes a record of features, gives labels with scores.' },
    TABULAR_REGRESSION: { description: 'Takes a record of features, gives a number.' },
    RECOMMENDATION: { description: 'Takes a user, gives items, best first.' },
    IMAGE_GENERATION: { description: 'Takes a seed or a latent vector, gives a picture.' },
    VOICE_ACTIVITY_DETECTION: { description: 'Takes sound, gives when somebody speaks.' },
    TENSORS: { description: 'Takes raw tensors, gives raw tensors.' },
  },
});

export const visibilityValues = { PUBLIC: 'public', PRIVATE: 'private' } as const satisfies Record<string, Visibility>;
registerEnumType(visibilityValues, {
  name: 'ModelVisibility',
  description: 'Who may see a model.',
  valuesMap: {
    PUBLIC: { description: 'Every tenant; calls need a plan that covers it.' },
    PRIVATE: { description: 'The tenant that published it.' },
  },
});

export const backEndValues = {
  ONNXRUNTIME: 'onnxruntime',
  OPEN_INFERENCE: 'open-inference',
  OPENAI: 'openai',
} as const satisfies Record<string, BackEndKind>;
registerEnumType(backEndValues, {
  name: 'BackEndKind',
  description: 'What runs a version.',
  valuesMap: {
    ONNXRUNTIME: { description: "The platform's own workers, from the version's files." },
    OPEN_INFERENCE: { description: 'A server that speaks the Open Inference Protocol v2, such as Triton, KServe or MLServer.' },
    OPENAI: { description: "A server that speaks OpenAI's API." },
  },
});

@ObjectType('ModelMetric', { description: 'How good a version is, as its publisher measured it.' })
export class ModelMetricType implements ModelMetric {
  @Field(() => String, { description: 'What was measured, such as accuracy.' })
  name!: string;

  @Field(() => Float, { description: 'What came out.' })
  value!: number;

  @Field(() => String, { nullable: true, description: 'The data that it was measured on.' })
  dataset!: string | null;

  @Field(() => String, { nullable: true, description: 'Which part of the data.' })
  split!: string | null;

  @Field(() => Int, { nullable: true, description: 'Items that it was measured on.' })
  items!: number | null;
}

@ObjectType('ModelExample', {
  description: 'An input to try, and what to expect: one of the inputs is there, when it is small enough to show.',
})
export class ModelExampleType implements ModelExample {
  @Field(() => String, { nullable: true, description: 'A sentence.' })
  text!: string | null;

  @Field(() => String, { nullable: true, description: 'A PNG, JPEG or WebP file in base64.' })
  imageBase64!: string | null;

  @Field(() => String, { nullable: true, description: 'A WAV file in base64.' })
  audioBase64!: string | null;

  @Field(() => JsonScalar, { nullable: true, description: 'A record of features: a JSON object.' })
  record!: ModelExample['record'];

  @Field(() => String, { nullable: true, description: 'A user to recommend to.' })
  user!: string | null;

  @Field(() => Int, { nullable: true, description: 'A seed to make a picture from.' })
  seed!: number | null;

  @Field(() => String, { nullable: true, description: 'A request of raw tensors: JSON as POST /v2/models/{name}/infer takes it.' })
  requestJson!: string | null;

  @Field(() => String, { nullable: true, description: 'The best label of the answer.' })
  expectedLabel!: string | null;
}

@ObjectType('ModelVersion', { description: 'A published version. Never changed.' })
export class ModelVersionType implements Omit<ModelVersion, 'modelId' | 'tenantId' | 'publishedBy' | 'networks'> {
  @Field(() => ID, { description: 'Opaque id.' })
  id!: string;

  @Field(() => String, { description: 'As callers write it, such as 1.0.0.' })
  version!: string;

  @Field(() => taskValues, { description: 'What it does.' })
  task!: Task;

  @Field(() => String, { description: 'SHA-256 over the paths and contents of its files, in hexadecimal.' })
  digest!: string;

  @Field(() => Float, { description: 'Size of its files in bytes.' })
  sizeBytes!: number;

  @Field(() => String, {
    nullable: true,
    description: 'Under which licence it was published; null where none was named, and for versions of before this was noted.',
  })
  licence!: string | null;

  @Field(() => [String], { description: "Names of its classes, in the model's order." })
  labels!: readonly string[];

  @Field(() => [ModelMetricType], { description: 'How good it is.' })
  metrics!: readonly ModelMetric[];

  @Field(() => [ModelExampleType], { description: 'Inputs to try.' })
  examples!: readonly ModelExample[];

  @Field(() => backEndValues, { description: 'What runs it.' })
  backend!: BackEndKind;

  @Field(() => Date, { description: 'When it was published.' })
  publishedAt!: Date;
}

@ObjectType('ModelVersionConnection', { description: 'A page of versions.' })
export class ModelVersionConnection extends connectionOf(ModelVersionType, 'ModelVersion') {}

@ObjectType('ModelAlias', { description: 'A name that points at a version.' })
export class ModelAliasType implements Omit<ModelAlias, 'versionId'> {
  @Field(() => String, { description: 'The name, such as production.' })
  alias!: string;

  @Field(() => String, { description: 'The version that it points at.' })
  version!: string;

  @Field(() => Date, { description: 'Since when.' })
  updatedAt!: Date;
}

@ObjectType('Model', { description: 'Something that can be called by its name.' })
export class ModelType {
  @Field(() => ID, { description: 'Opaque id.' })
  id!: string;

  @Field(() => String, { description: "As callers write it: digits, or acme/digits for a tenant's own." })
  name!: string;

  @Field(() => String, { description: 'Name for people.' })
  displayName!: string;

  @Field(() => String, { description: 'What it does, in a few sentences.' })
  description!: string;

  @Field(() => taskValues, { description: 'What it does.' })
  task!: Task;

  @Field(() => String, { nullable: true, description: 'Under which licence, mostly an SPDX identifier.' })
  licence!: string | null;

  @Field(() => visibilityValues, { description: 'Who may see it.' })
  visibility!: Visibility;

  @Field(() => [String], { description: 'Words to find it by.' })
  tags!: readonly string[];

  @Field(() => [ModelAliasType], { description: 'Names that point at its versions.' })
  aliases!: readonly ModelAlias[];

  @Field(() => Date, { description: 'When it was first published.' })
  createdAt!: Date;

  @Field(() => Date, { description: 'When a version of it was last published.' })
  updatedAt!: Date;
}

@ObjectType('ModelConnection', { description: 'A page of models.' })
export class ModelConnection extends connectionOf(ModelType, 'Model') {}

@InputType({ description: 'One file of a package. Upload its content first.' })
export class PackageFileInput {
  @Field(() => String, { description: 'Path inside the package, such as onnx/model.onnx.' })
  path!: string;

  @Field(() => String, { description: 'SHA-256 of its content in lower-case hexadecimal.' })
  sha256!: string;

  @Field(() => Float, { description: 'Size of its content in bytes.' })
  sizeBytes!: number;
}

@InputType({ description: 'A new version of a model, and the model with it when it is the first.' })
export class PublishModelVersionInput {
  @Field(() => String, { description: "Name of the model: <the tenant's short name>/<name>, or a plain name for operators." })
  name!: string;

  @Field(() => String, { description: 'The version, such as 1.0.0. Its files can never be changed.' })
  version!: string;

  @Field(() => taskValues, { nullable: true, description: 'What it does; from weir.json of the package when it is not given.' })
  task?: Task | null;

  @Field(() => String, { nullable: true, description: 'Name for people, 1 to 100 characters; from weir.json when it is not given.' })
  displayName?: string | null;

  @Field(() => String, { nullable: true, description: 'What it does, at most 2,000 characters; from weir.json when it is not given.' })
  description?: string | null;

  @Field(() => String, { nullable: true, description: 'Under which licence; from weir.json when it is not given.' })
  licence?: string | null;

  @Field(() => visibilityValues, { defaultValue: visibilityValues.PRIVATE, description: 'Who may see the model.' })
  visibility!: Visibility;

  @Field(() => [String], {
    nullable: true,
    description: 'Up to 20 words of lower-case letters, digits and hyphens; from weir.json when they are not given.',
  })
  tags?: string[] | null;

  @Field(() => [PackageFileInput], { description: '1 to 1,000 files in Hugging Face layout.' })
  files!: PackageFileInput[];

  @Field(() => String, { nullable: true, description: 'An alias to point at the version at once, such as production.' })
  alias?: string | null;
}

@ObjectType({ description: 'The version that was published.' })
export class PublishModelVersionPayload {
  @Field(() => ModelType, { description: 'Its model, as it is now.' })
  model!: ModelType;

  @Field(() => ModelVersionType, { description: 'The version.' })
  version!: ModelVersionType;
}

@InputType({ description: 'Where an alias is to point.' })
export class SetModelAliasInput {
  @Field(() => String, { description: 'Name of the model.' })
  name!: string;

  @Field(() => String, { description: 'The alias: lower-case letters, digits and hyphens.' })
  alias!: string;

  @Field(() => String, { description: 'A published version of the model.' })
  version!: string;
}

@ObjectType({ description: 'The model whose alias was set.' })
export class SetModelAliasPayload {
  @Field(() => ModelType, { description: 'The model, as it is now.' })
  model!: ModelType;
}

@InputType({ description: 'Which alias to take away.' })
export class RemoveModelAliasInput {
  @Field(() => String, { description: 'Name of the model.' })
  name!: string;

  @Field(() => String, { description: 'The alias.' })
  alias!: string;
}

@ObjectType({ description: 'The model whose alias was taken away.' })
export class RemoveModelAliasPayload {
  @Field(() => ModelType, { description: 'The model, as it is now.' })
  model!: ModelType;
}

import { Field, Float, ID, InputType, Int, ObjectType } from '@nestjs/graphql';

@ObjectType('QuotaUse', { description: 'Use and upper bound of one quota.' })
export class QuotaUseType {
  @Field(() => Float, { description: 'In use now.' })
  used!: number;

  @Field(() => Float, { nullable: true, description: 'Allowed; null where there is no bound, as for the platform itself.' })
  allowed!: number | null;
}

@ObjectType('ModelQuotas', { description: "Quotas of a tenant's models." })
export class ModelQuotasType {
  @Field(() => ID, { description: 'The tenant.' })
  tenantId!: string;

  @Field(() => QuotaUseType, { description: 'Bytes of the files that it has uploaded; each counts for 4096 at least.' })
  artifactBytes!: QuotaUseType;

  @Field(() => QuotaUseType, { description: 'Published versions of all its models.' })
  versions!: QuotaUseType;

  @Field(() => QuotaUseType, {
    description: "Bytes of workers' memory that are reserved for its versions that are placed, each counted once.",
  })
  memoryBytes!: QuotaUseType;
}

@InputType('SetModelQuotasInput', { description: 'Quotas of a tenant: null restores the default, what is not named stays.' })
export class SetModelQuotasInput {
  @Field(() => ID, { description: 'The tenant.' })
  tenantId!: string;

  @Field(() => Float, { nullable: true, description: 'Bytes of files, an integer up to 2^50.' })
  artifactBytes?: number | null;

  @Field(() => Int, { nullable: true, description: 'Published versions, up to 1,000,000.' })
  versions?: number | null;

  @Field(() => Float, { nullable: true, description: 'Bytes of memory, an integer up to 2^50.' })
  memoryBytes?: number | null;
}

@ObjectType('SetModelQuotasPayload', { description: 'The quotas as they are now.' })
export class SetModelQuotasPayload {
  @Field(() => ModelQuotasType, { description: 'The quotas.' })
  quotas!: ModelQuotasType;
}

import { Field, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { API_KEY_SCOPES, DEFAULT_API_KEY_SCOPES } from '@weir/access';
import { connectionOf } from '@weir/platform/graphql';
import type { ApiKeyStatus } from './api-key.ts';

const statuses = { ACTIVE: 'active', EXPIRED: 'expired', REVOKED: 'revoked' } as const satisfies Record<string, ApiKeyStatus>;
registerEnumType(statuses, {
  name: 'ApiKeyStatus',
  description: 'May the key be used?',
  valuesMap: {
    ACTIVE: { description: 'Yes.' },
    EXPIRED: { description: 'No: its time is over.' },
    REVOKED: { description: 'No: somebody ended it.' },
  },
});

@ObjectType('ApiKeyLimits', {
  description:
    "Limits of the calls with one key; null means the platform's default. The limits of the tenant apply as well: a higher one here has no effect.",
})
export class ApiKeyLimitsType {
  @Field(() => Int, { nullable: true, description: 'Calls a minute.' })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: 'Calls that may be under way at once.' })
  maxInFlight!: number | null;
}

@ObjectType('ApiKey', { description: 'A secret with which software calls the platform. The secret itself is shown only when it is made.' })
export class ApiKeyType {
  @Field(() => ID, { description: 'Id: the first characters of the key behind weir_sk_.' })
  id!: string;

  @Field(() => String, { description: 'Name for people.' })
  name!: string;

  @Field(() => [String], { description: `What it may be used for: some of ${API_KEY_SCOPES.join(', ')}.` })
  scopes!: readonly string[];

  @Field(() => ApiKeyLimitsType, { description: 'How much may be asked for with it.' })
  limits!: ApiKeyLimitsType;

  @Field(() => statuses, { description: 'May it be used?' })
  status!: ApiKeyStatus;

  @Field(() => Date, { description: 'When it was made.' })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: 'From when on it is refused; null: it does not expire.' })
  expiresAt!: Date | null;

  @Field(() => Date, { nullable: true, description: 'When it was revoked.' })
  revokedAt!: Date | null;
}

@ObjectType('ApiKeyConnection', { description: 'A page of API keys.' })
export class ApiKeyConnection extends connectionOf(ApiKeyType, 'ApiKey') {}

@InputType({
  description:
    "Limits of the calls with a key; what is left out is the platform's default. The limits of the tenant apply as well: a higher one here has no effect.",
})
export class ApiKeyLimitsInput {
  @Field(() => Int, { nullable: true, description: 'Calls a minute, at least 1.' })
  requestsPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: 'Calls that may be under way at once, at least 1.' })
  maxInFlight?: number | null;
}

@InputType({ description: 'A new API key.' })
export class CreateApiKeyInput {
  @Field(() => String, { description: 'Name for people, 1 to 100 characters.' })
  name!: string;

  @Field(() => [String], {
    nullable: true,
    description: `Some of ${API_KEY_SCOPES.join(', ')}; default ${DEFAULT_API_KEY_SCOPES.join(', ')}.`,
  })
  scopes?: string[] | null;

  @Field(() => ApiKeyLimitsInput, { nullable: true, description: 'How much may be asked for with it.' })
  limits?: ApiKeyLimitsInput | null;

  @Field(() => Date, { nullable: true, description: 'From when on it is refused; default never.' })
  expiresAt?: Date | null;
}

@ObjectType({ description: 'The key that was made.' })
export class CreateApiKeyPayload {
  @Field(() => ApiKeyType, { description: 'The key.' })
  apiKey!: ApiKeyType;

  @Field(() => String, { description: 'The secret, for Authorization: Bearer. It is shown now and never again.' })
  secret!: string;
}

@InputType({ description: 'Which key to revoke.' })
export class RevokeApiKeyInput {
  @Field(() => ID, { description: 'Id of the key.' })
  id!: string;
}

@ObjectType({ description: 'The key that was revoked.' })
export class RevokeApiKeyPayload {
  @Field(() => ApiKeyType, { description: 'The key.' })
  apiKey!: ApiKeyType;
}

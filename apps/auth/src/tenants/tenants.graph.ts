import { Field, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { connectionOf } from '@weir/platform/graphql';
import { NewPersonInput, PersonType } from '../people/people.graph.ts';
import type { Person } from '../people/person.ts';
import type { Tenant, TenantStatus } from './tenant.ts';

const statuses = { ACTIVE: 'active', SUSPENDED: 'suspended' } as const satisfies Record<string, TenantStatus>;
registerEnumType(statuses, {
  name: 'TenantStatus',
  description: 'May the tenant use the platform?',
  valuesMap: { ACTIVE: { description: 'Yes.' }, SUSPENDED: { description: 'No: everything that its people and keys ask for is refused.' } },
});

@ObjectType('TenantLimits', {
  description: "Limits of all calls of a tenant together, set by the operator; null means the platform's default.",
})
export class TenantLimitsType {
  @Field(() => Int, { nullable: true, description: 'Calls per minute.' })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: 'Calls in flight at the same time.' })
  maxInFlight!: number | null;
}

@ObjectType('Tenant', { description: 'A customer of the platform, or the operator itself.' })
export class TenantType implements Tenant {
  @Field(() => ID, { description: 'Opaque id.' })
  id!: string;

  @Field(() => String, { description: "Short name in lower case; stands in the names of the tenant's own models." })
  slug!: string;

  @Field(() => String, { description: 'Name for people.' })
  displayName!: string;

  @Field(() => statuses, { description: 'May it use the platform?' })
  status!: TenantStatus;

  @Field(() => TenantLimitsType, { description: 'Limits of all its calls together. Higher limits of its keys have no effect.' })
  limits!: TenantLimitsType;

  @Field(() => Date, { description: 'When it was made.' })
  createdAt!: Date;
}

@ObjectType('TenantConnection', { description: 'A page of tenants.' })
export class TenantConnection extends connectionOf(TenantType, 'Tenant') {}

@InputType({ description: 'A new customer.' })
export class CreateTenantInput {
  @Field(() => String, { description: 'Short name: 3 to 40 lower-case letters, digits and hyphens. It cannot be changed.' })
  slug!: string;

  @Field(() => String, { description: 'Name for people, 1 to 100 characters.' })
  displayName!: string;

  @Field(() => NewPersonInput, { description: 'Its first person, who administers it.' })
  owner!: NewPersonInput;
}

@ObjectType({ description: 'The tenant that was made.' })
export class CreateTenantPayload {
  @Field(() => TenantType, { description: 'The tenant.' })
  tenant!: Tenant;

  @Field(() => PersonType, { description: 'Its owner.' })
  owner!: Person;
}

@InputType({ description: 'Which tenant to suspend.' })
export class SuspendTenantInput {
  @Field(() => ID, { description: 'Id of the tenant.' })
  id!: string;
}

@ObjectType({ description: 'The tenant that was suspended.' })
export class SuspendTenantPayload {
  @Field(() => TenantType, { description: 'The tenant.' })
  tenant!: Tenant;
}

@InputType({ description: 'Which tenant to reactivate.' })
export class ReactivateTenantInput {
  @Field(() => ID, { description: 'Id of the tenant.' })
  id!: string;
}

@ObjectType({ description: 'The tenant that was reactivated.' })
export class ReactivateTenantPayload {
  @Field(() => TenantType, { description: 'The tenant.' })
  tenant!: Tenant;
}

@InputType({ description: "A tenant's limits; what is null or left out is the platform's default." })
export class SetTenantLimitsInput {
  @Field(() => ID, { description: 'Id of the tenant.' })
  id!: string;

  @Field(() => Int, { nullable: true, description: 'Calls per minute, 1 to 1,000,000.' })
  requestsPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: 'Calls in flight at the same time, 1 to 10,000.' })
  maxInFlight?: number | null;
}

@ObjectType({ description: 'The tenant with its new limits.' })
export class SetTenantLimitsPayload {
  @Field(() => TenantType, { description: 'The tenant.' })
  tenant!: Tenant;
}

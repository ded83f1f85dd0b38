import { Field, ID, InputType, ObjectType, registerEnumType } from '@nestjs/graphql';
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

import { Field, ID, InputType, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { Role } from '@weir/access';
import { connectionOf } from '@weir/platform/graphql';
import type { Person } from './person.ts';

const roles = { OWNER: 'owner', MEMBER: 'member', OPERATOR: 'operator' } as const satisfies Record<string, Role>;
registerEnumType(roles, {
  name: 'PersonRole',
  description: 'What a person may do.',
  valuesMap: {
    OWNER: { description: 'Administers the tenant: its people, keys, models and invoices.' },
    MEMBER: { description: 'Uses the tenant: calls models and sees usage.' },
    OPERATOR: { description: 'Runs the platform, across tenants.' },
  },
});

@ObjectType('Person', { description: 'Somebody who signs in.' })
export class PersonType implements Omit<Person, 'tenantId'> {
  @Field(() => ID, { description: 'Opaque id.' })
  id!: string;

  @Field(() => String, { description: 'E-mail address, in lower case.' })
  email!: string;

  @Field(() => String, { description: 'Name.' })
  name!: string;

  @Field(() => roles, { description: 'What they may do.' })
  role!: Role;

  @Field(() => Date, { description: 'When they were added.' })
  createdAt!: Date;
}

@ObjectType('PersonConnection', { description: 'A page of people.' })
export class PersonConnection extends connectionOf(PersonType, 'Person') {}

@InputType({ description: 'A person with a password of their own.' })
export class NewPersonInput {
  @Field(() => String, { description: 'E-mail address; unique within the tenant.' })
  email!: string;

  @Field(() => String, { description: 'Name, 1 to 100 characters.' })
  name!: string;

  @Field(() => String, { description: 'Password, 12 to 200 characters.' })
  password!: string;
}

@InputType({ description: "A person for the caller's tenant." })
export class AddPersonInput extends NewPersonInput {
  @Field(() => roles, { nullable: true, description: "Default MEMBER; in the operator's tenant OPERATOR." })
  role?: Role | null;
}

@ObjectType({ description: 'The person who was added.' })
export class AddPersonPayload {
  @Field(() => PersonType, { description: 'The person.' })
  person!: Person;
}

@InputType({ description: 'Whom to remove.' })
export class RemovePersonInput {
  @Field(() => ID, { description: 'Id of the person.' })
  id!: string;
}

@ObjectType({ description: 'Who was removed.' })
export class RemovePersonPayload {
  @Field(() => ID, { description: 'Id of the person.' })
  id!: string;
}

@InputType({ description: 'The first operator.' })
export class BootstrapOperatorInput extends NewPersonInput {}

@ObjectType({ description: 'The first operator.' })
export class BootstrapOperatorPayload {
  @Field(() => PersonType, { description: 'The operator.' })
  person!: Person;

  @Field(() => Boolean, { description: 'False when this operator existed before; the password is then as it was.' })
  isNew!: boolean;
}

import { Inject } from '@nestjs/common';
import { Args, Context, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { GraphContext, PageArgs, pageOf, pageRequest, parseInput, type Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import {
  AddPersonInput,
  AddPersonPayload,
  BootstrapOperatorInput,
  BootstrapOperatorPayload,
  PersonConnection,
  PersonType,
  RemovePersonInput,
  RemovePersonPayload,
} from './people.graph.ts';
import { PeopleService } from './people.service.ts';
import { addPersonSchema, newPersonSchema, personIdSchema, type Person } from './person.ts';

@Resolver(() => PersonType)
export class PeopleResolver {
  readonly #people: PeopleService;

  constructor(@Inject(PeopleService) people: PeopleService) {
    this.#people = people;
  }

  @Query(() => PersonType, { nullable: true, description: 'The person who asks; null when an API key asks.' })
  me(@CurrentPrincipal() principal: Principal): Promise<Person | null> {
    return this.#people.me(principal);
  }

  @Query(() => PersonConnection, { description: "The people of the caller's tenant, in the order in which they were added." })
  async people(@CurrentPrincipal() principal: Principal, @Args() args: PageArgs): Promise<Connection<Person>> {
    const page = pageRequest(args);
    return pageOf(await this.#people.list(principal, page), page, (person) => person.id);
  }

  @Mutation(() => AddPersonPayload, { description: "Adds a person to the caller's tenant." })
  async addPerson(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'The person.' }) input: AddPersonInput,
  ): Promise<AddPersonPayload> {
    return { person: await this.#people.add(principal, parseInput(addPersonSchema, input)) };
  }

  @Mutation(() => RemovePersonPayload, {
    description: 'Removes a person and ends their sessions. The last one who administers a tenant stays.',
  })
  async removePerson(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Whom.' }) input: RemovePersonInput,
  ): Promise<RemovePersonPayload> {
    const { id } = parseInput(personIdSchema, input);
    await this.#people.remove(principal, id);
    return { id };
  }

  @Mutation(() => BootstrapOperatorPayload, { description: "Makes the first operator. For the platform's own command line." })
  bootstrapOperator(
    @CurrentPrincipal() principal: Principal,
    @Context() context: GraphContext,
    @Args('input', { description: 'The operator.' }) input: BootstrapOperatorInput,
  ): Promise<BootstrapOperatorPayload> {
    return this.#people.bootstrapOperator(principal, context.caller.caller, parseInput(newPersonSchema, input));
  }
}

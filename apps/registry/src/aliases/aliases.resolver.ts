import { Inject } from '@nestjs/common';
import { Args, Mutation, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { parseInput } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import type { ModelView } from '../models/model.ts';
import { RemoveModelAliasInput, RemoveModelAliasPayload, SetModelAliasInput, SetModelAliasPayload } from '../models/models.graph.ts';
import { AliasesService, removeModelAliasSchema, setModelAliasSchema } from './aliases.service.ts';

@Resolver()
export class AliasesResolver {
  readonly #aliases: AliasesService;

  constructor(@Inject(AliasesService) aliases: AliasesService) {
    this.#aliases = aliases;
  }

  @Mutation(() => SetModelAliasPayload, {
    description: "Points an alias of the tenant's own model at one of its versions: calls by the alias go there from then on.",
  })
  async setModelAlias(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Where to point.' }) input: SetModelAliasInput,
  ): Promise<{ model: ModelView }> {
    return { model: await this.#aliases.set(principal, parseInput(setModelAliasSchema, input)) };
  }

  @Mutation(() => RemoveModelAliasPayload, {
    description: "Takes an alias of the tenant's own model away: calls by it are refused from then on.",
  })
  async removeModelAlias(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Which alias.' }) input: RemoveModelAliasInput,
  ): Promise<{ model: ModelView }> {
    return { model: await this.#aliases.remove(principal, parseInput(removeModelAliasSchema, input)) };
  }
}

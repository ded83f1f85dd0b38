import { Inject } from '@nestjs/common';
import { Args, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import type { Clock } from '@weir/kernel';
import { PageArgs, pageOf, pageRequest, parseInput, type Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { CLOCK } from '@weir/platform/service';
import { apiKeyIdSchema, createApiKeySchema, statusOf, type ApiKey } from './api-key.ts';
import {
  ApiKeyConnection,
  ApiKeyType,
  CreateApiKeyInput,
  CreateApiKeyPayload,
  RevokeApiKeyInput,
  RevokeApiKeyPayload,
} from './api-keys.graph.ts';
import { ApiKeysService } from './api-keys.service.ts';
import { placeOf } from './api-keys.store.ts';

@Resolver(() => ApiKeyType)
export class ApiKeysResolver {
  readonly #apiKeys: ApiKeysService;
  readonly #clock: Clock;

  constructor(@Inject(ApiKeysService) apiKeys: ApiKeysService, @Inject(CLOCK) clock: Clock) {
    this.#apiKeys = apiKeys;
    this.#clock = clock;
  }

  @Query(() => ApiKeyConnection, { description: "The API keys of the caller's tenant, newest first; revoked ones too." })
  async apiKeys(@CurrentPrincipal() principal: Principal, @Args() args: PageArgs): Promise<Connection<ApiKeyType>> {
    const page = pageRequest(args);
    const { edges, pageInfo } = pageOf(await this.#apiKeys.list(principal, page), page, placeOf);
    const shown = edges.map(({ cursor, node }) => ({ cursor, node: this.#shown(node) }));
    return { edges: shown, nodes: shown.map(({ node }) => node), pageInfo };
  }

  @Mutation(() => CreateApiKeyPayload, { description: "Makes an API key for the caller's tenant." })
  async createApiKey(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'The key.' }) input: CreateApiKeyInput,
  ): Promise<CreateApiKeyPayload> {
    const { key, secret } = await this.#apiKeys.create(principal, parseInput(createApiKeySchema, input));
    return { apiKey: this.#shown(key), secret };
  }

  @Mutation(() => RevokeApiKeyPayload, { description: 'Ends an API key for ever. It is refused everywhere within seconds.' })
  async revokeApiKey(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Which key.' }) input: RevokeApiKeyInput,
  ): Promise<RevokeApiKeyPayload> {
    return { apiKey: this.#shown(await this.#apiKeys.revoke(principal, parseInput(apiKeyIdSchema, input).id)) };
  }

  #shown(key: ApiKey): ApiKeyType {
    return { ...key, status: statusOf(key, new Date(this.#clock.now())) };
  }
}

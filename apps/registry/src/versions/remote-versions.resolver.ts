import { Inject } from '@nestjs/common';
import { Args, Mutation, Parent, ResolveField, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { parseInput } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { ModelVersionType, PublishModelVersionPayload } from '../models/models.graph.ts';
import type { ModelVersion } from './model-version.ts';
import { publishRemoteModelVersionSchema } from './remote-version.ts';
import { ModelServerType, PublishRemoteModelVersionInput } from './remote-versions.graph.ts';
import { VersionsService, type PublishedVersion } from './versions.service.ts';

@Resolver(() => ModelVersionType)
export class RemoteVersionsResolver {
  readonly #versions: VersionsService;

  constructor(@Inject(VersionsService) versions: VersionsService) {
    this.#versions = versions;
  }

  @Mutation(() => PublishModelVersionPayload, {
    description:
      'Publishes a version of a model that another server runs. For operators. The same again under the same version changes nothing.',
  })
  publishRemoteModelVersion(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'The version.' }) input: PublishRemoteModelVersionInput,
  ): Promise<PublishedVersion> {
    return this.#versions.publishRemote(principal, parseInput(publishRemoteModelVersionSchema, input));
  }

  @ResolveField(() => ModelServerType, { nullable: true, description: 'The server that runs it. Null for all but operators.' })
  async server(@CurrentPrincipal() principal: Principal, @Parent() version: ModelVersion): Promise<ModelServerType | null> {
    const server = await this.#versions.server(principal, version);
    if (server === null) return null;
    const { url, model, secret } = server;
    return { url, model, version: server.kind === 'open-inference' ? (server.version ?? null) : null, secretName: secret ?? null };
  }
}

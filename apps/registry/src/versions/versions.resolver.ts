import { Inject } from '@nestjs/common';
import { Args, Mutation, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { parseInput } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { PublishModelVersionInput, PublishModelVersionPayload } from '../models/models.graph.ts';
import { publishModelVersionSchema } from './model-version.ts';
import { VersionsService, type PublishedVersion } from './versions.service.ts';

@Resolver()
export class VersionsResolver {
  readonly #versions: VersionsService;

  constructor(@Inject(VersionsService) versions: VersionsService) {
    this.#versions = versions;
  }

  @Mutation(() => PublishModelVersionPayload, {
    description: 'Publishes a version of a model whose files were uploaded. The same files again under the same version change nothing.',
  })
  publishModelVersion(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'The version.' }) input: PublishModelVersionInput,
  ): Promise<PublishedVersion> {
    return this.#versions.publish(principal, parseInput(publishModelVersionSchema, input));
  }
}

import { Inject } from '@nestjs/common';
import { Args, ArgsType, Field, Float, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import type { BackEndKind, Task } from '@weir/contracts';
import {
  cursorError,
  cursorInstant,
  PageArgs,
  pageOf,
  pageRequest,
  parseInput,
  type Connection,
  type PageRequest,
} from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { z } from 'zod';
import { searchText, tagText } from '../texts.ts';
import { modelNameSchema, type ModelVersion } from '../versions/model-version.ts';
import type { ModelExample, ModelMetric } from '../versions/package-metadata.ts';
import { VersionsService } from '../versions/versions.service.ts';
import type { ModelView } from './model.ts';
import {
  backEndValues,
  ModelConnection,
  ModelExampleType,
  ModelMetricType,
  ModelType,
  ModelVersionConnection,
  taskValues,
} from './models.graph.ts';
import { ModelsService } from './models.service.ts';

@ArgsType()
class ModelsArgs extends PageArgs {
  @Field(() => String, {
    nullable: true,
    description: 'Only models in whose name, description or tags this stands; at most 100 characters.',
  })
  search?: string | null;

  @Field(() => taskValues, { nullable: true, description: 'Only models for this task.' })
  task?: Task | null;

  @Field(() => [String], { nullable: true, description: 'Only models that have every one of these tags; at most 20.' })
  tags?: string[] | null;
}

const tagsSchema = z.array(tagText).max(20);
const versionCursor = z.tuple([z.string(), z.string().regex(/^[\w-]{1,64}$/)]);

@Resolver(() => ModelType)
export class ModelsResolver {
  readonly #models: ModelsService;
  readonly #versions: VersionsService;

  constructor(@Inject(ModelsService) models: ModelsService, @Inject(VersionsService) versions: VersionsService) {
    this.#models = models;
    this.#versions = versions;
  }

  @Query(() => ModelConnection, { description: "Models that the caller may see, by name: the public ones and its tenant's own." })
  async models(@CurrentPrincipal() principal: Principal, @Args() args: ModelsArgs): Promise<Connection<ModelView>> {
    const page = checked(pageRequest(args), z.tuple([modelNameSchema]));
    const search = args.search === null || args.search === undefined ? '' : parseInput(searchText, args.search, 'search');
    const tags = parseInput(tagsSchema, args.tags ?? [], 'tags');
    const filter = { search: search === '' ? null : search, task: args.task ?? null, tags };
    return pageOf(await this.#models.list(principal, filter, page), page, (model) => model.name);
  }

  @Query(() => ModelType, { nullable: true, description: 'The model of this name; null when there is none that the caller may see.' })
  model(
    @CurrentPrincipal() principal: Principal,
    @Args('name', { type: () => String, description: 'As callers write it.' }) name: string,
  ): Promise<ModelView | null> {
    return this.#models.find(principal, name);
  }

  @ResolveField(() => ModelVersionConnection, { description: 'Its versions, newest first.' })
  async versions(
    @CurrentPrincipal() principal: Principal,
    @Parent() model: ModelView,
    @Args() args: PageArgs,
  ): Promise<Connection<ModelVersion>> {
    const page = checked(pageRequest(args), versionCursor);
    if (page.after !== null) cursorInstant(page.after[0]);
    return pageOf(await this.#versions.list(principal, model.id, page), page, (version) => [version.publishedAt.toISOString(), version.id]);
  }

  @ResolveField(() => Float, { description: 'Size in bytes of the version that production points at, or else the newest.' })
  sizeBytes(@Parent() { current }: ModelView): number {
    return current.sizeBytes;
  }

  @ResolveField(() => String, { description: 'SHA-256 of the files of that version, in hexadecimal.' })
  digest(@Parent() { current }: ModelView): string {
    return current.digest;
  }

  @ResolveField(() => backEndValues, { description: 'What runs that version.' })
  backend(@Parent() { current }: ModelView): BackEndKind {
    return current.backend;
  }

  @ResolveField(() => [ModelMetricType], { description: 'How good that version is.' })
  metrics(@Parent() { current }: ModelView): readonly ModelMetric[] {
    return current.metrics;
  }

  @ResolveField(() => [String], { description: "Names of that version's classes, in the model's order." })
  labels(@Parent() { current }: ModelView): readonly string[] {
    return current.labels;
  }

  @ResolveField(() => [ModelExampleType], { description: 'Inputs to try on that version.' })
  examples(@Parent() { current }: ModelView): readonly ModelExample[] {
    return current.examples;
  }
}

/** A cursor that somebody wrote by hand must not reach the database. */
function checked(page: PageRequest, schema: z.ZodType): PageRequest {
  if (page.after !== null && !schema.safeParse(page.after).success) throw cursorError();
  return page;
}

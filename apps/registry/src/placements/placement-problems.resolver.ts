import { Inject } from '@nestjs/common';
import { Parent, ResolveField, Resolver } from '@nestjs/graphql';
import { isOperator, type Principal } from '@weir/access';
import { CurrentPrincipal } from '@weir/platform/http';
import type { ModelView } from '../models/model.ts';
import { ModelType, ModelVersionType } from '../models/models.graph.ts';
import type { ModelVersion } from '../versions/model-version.ts';
import { PlacementsService } from './placements.service.ts';

@Resolver(() => ModelVersionType)
export class VersionPlacementResolver {
  readonly #placements: PlacementsService;

  constructor(@Inject(PlacementsService) placements: PlacementsService) {
    this.#placements = placements;
  }

  @ResolveField(() => String, {
    nullable: true,
    description:
      'Why no worker takes calls of it. Null when one does, when no alias points at it, and for all but its owner and operators.',
  })
  placementProblem(@CurrentPrincipal() principal: Principal, @Parent() version: ModelVersion): string | null {
    return problemFor(principal, version, this.#placements);
  }
}

@Resolver(() => ModelType)
export class ModelPlacementResolver {
  readonly #placements: PlacementsService;

  constructor(@Inject(PlacementsService) placements: PlacementsService) {
    this.#placements = placements;
  }

  @ResolveField(() => String, {
    nullable: true,
    description: 'Why no worker takes calls of that version. Null when one does, and for all but its owner and operators.',
  })
  placementProblem(@CurrentPrincipal() principal: Principal, @Parent() { current }: ModelView): string | null {
    return problemFor(principal, current, this.#placements);
  }
}

function problemFor(principal: Principal, { id, tenantId }: ModelVersion, placements: PlacementsService): string | null {
  return principal.tenantId === tenantId || isOperator(principal) ? placements.problemOf(id) : null;
}

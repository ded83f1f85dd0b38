import { Inject } from '@nestjs/common';
import { Args, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { PageArgs, type Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import type { UsageDimension, UsageQuery, UsageRow } from './usage-query.ts';
import { DimensionEnum, UsageConnection, UsageFilterInput, UsageTotalsType } from './usage.graph.ts';
import { UsageService } from './usage.service.ts';

/** The page, and what its totals are asked with. */
type UsageAnswer = Connection<UsageRow> & { readonly query: UsageQuery };

@Resolver(() => UsageConnection)
export class UsageResolver {
  readonly #usage: UsageService;

  constructor(@Inject(UsageService) usage: UsageService) {
    this.#usage = usage;
  }

  @Query(() => UsageConnection, { description: 'What the tenant used, by period; needs the scope usage.read.' })
  async usage(
    @CurrentPrincipal() principal: Principal,
    @Args('filter', {
      type: () => UsageFilterInput,
      nullable: true,
      description: 'Which usage to show; by default the last day by the hour.',
    })
    filter: UsageFilterInput | null,
    @Args('groupBy', { type: () => [DimensionEnum], nullable: true, description: 'What rows are kept apart by; by default everything.' })
    groupBy: UsageDimension[] | null,
    @Args() args: PageArgs,
  ): Promise<UsageAnswer> {
    const { page, query } = await this.#usage.list(principal, filter ?? {}, groupBy ?? null, args);
    return { ...page, query };
  }

  @ResolveField(() => UsageTotalsType, { description: 'Sums of everything that the filter covers, whatever the page.' })
  async totals(@CurrentPrincipal() principal: Principal, @Parent() answer: UsageAnswer): Promise<UsageTotalsType> {
    const { calls, costs, quantities } = await this.#usage.totals(principal, answer.query);
    return { calls, costs: [...costs], quantities: [...quantities] };
  }
}

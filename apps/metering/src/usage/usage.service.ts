import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import type { Clock } from '@weir/kernel';
import { pageOf, pageRequest, type Connection, type PageArgs } from '@weir/platform/graphql';
import { CLOCK } from '@weir/platform/service';
import {
  sortKeyOf,
  usageCursor,
  usageQuery,
  type UsageDimension,
  type UsageFilter,
  type UsageQuery,
  type UsageRow,
  type UsageTotals,
} from './usage-query.ts';
import { UsageStore } from './usage.store.ts';

/** A page of usage, and the query that its totals are about. */
export interface UsagePage {
  readonly page: Connection<UsageRow>;
  readonly query: UsageQuery;
}

/** What the principal's tenant used. */
@Injectable()
export class UsageService {
  readonly #usage: UsageStore;
  readonly #clock: Clock;

  constructor(@Inject(UsageStore) usage: UsageStore, @Inject(CLOCK) clock: Clock) {
    this.#usage = usage;
    this.#clock = clock;
  }

  /**
   * One page of the tenant's usage, newest period first.
   *
   * @param groupBy what rows are kept apart by; null for everything
   * @throws access.forbidden without `usage.read`
   * @throws request.invalid  naming the field: the range, the page size, the cursor
   */
  async list(principal: Principal, filter: UsageFilter, groupBy: readonly UsageDimension[] | null, args: PageArgs): Promise<UsagePage> {
    authorise(principal, 'usage.read');
    const request = pageRequest(args);
    const query = usageQuery(filter, groupBy, this.#clock.now());
    const rows = await this.#usage.rows(principal.tenantId, query, usageCursor(request), request.take);
    return { page: pageOf(rows, request, sortKeyOf), query };
  }

  /** The sums of all rows of a query, not of a page. @throws access.forbidden without `usage.read` */
  async totals(principal: Principal, query: UsageQuery): Promise<UsageTotals> {
    authorise(principal, 'usage.read');
    return this.#usage.totals(principal.tenantId, query);
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError, type Clock } from '@weir/kernel';
import { pageOf, pageRequest, type Connection, type PageArgs } from '@weir/platform/graphql';
import { CLOCK } from '@weir/platform/service';
import { PlansStore } from '../plans/plans.store.ts';
import { UsageSumsStore, type BilledPeriod } from '../usage/usage-sums.store.ts';
import { invoiceCursor, monthOf, openInvoice, periodOfId, sortKeyOf, type Invoice } from './invoice.ts';

/** What the principal's tenant owes. */
@Injectable()
export class InvoicesService {
  readonly #usage: UsageSumsStore;
  readonly #plans: PlansStore;
  readonly #clock: Clock;

  constructor(@Inject(UsageSumsStore) usage: UsageSumsStore, @Inject(PlansStore) plans: PlansStore, @Inject(CLOCK) clock: Clock) {
    this.#usage = usage;
    this.#plans = plans;
    this.#clock = clock;
  }

  /**
   * One page of the tenant's invoices, newest period first; a tenant that is subscribed has one for the running month from
   * the start.
   *
   * @throws access.forbidden without `invoices.read`
   * @throws request.invalid  naming the field: the page size, the cursor
   */
  async list(principal: Principal, args: PageArgs): Promise<Connection<Invoice>> {
    authorise(principal, 'invoices.read');
    const request = pageRequest(args);
    const { start } = monthOf(new Date(this.#clock.now()));
    const periods = await this.#usage.periods(principal.tenantId, start, invoiceCursor(request), request.take);
    const page = pageOf(periods, request, sortKeyOf);
    const edges: { cursor: string; node: Invoice }[] = [];
    for (const { cursor, node } of page.edges) edges.push({ cursor, node: await this.#preview(principal.tenantId, node) });
    return { edges, nodes: edges.map(({ node }) => node), pageInfo: page.pageInfo };
  }

  /**
   * One invoice.
   *
   * @throws access.forbidden  without `invoices.read`
   * @throws invoice.not_found the tenant has no such invoice
   */
  async find(principal: Principal, id: string): Promise<Invoice> {
    authorise(principal, 'invoices.read');
    const period = periodOfId(id);
    if (period === null || !(await this.#has(principal.tenantId, period))) throw new AppError('invoice.not_found', { field: 'id' });
    return this.#preview(principal.tenantId, period);
  }

  async #has(tenantId: string, period: BilledPeriod): Promise<boolean> {
    const { start } = monthOf(new Date(this.#clock.now()));
    // The place before the period: the next one in the list is the period itself, or there is none such.
    const before: BilledPeriod = { start: period.start, currency: '' };
    for (const found of await this.#usage.periods(tenantId, start, before, 100)) {
      if (found.start.getTime() === period.start.getTime() && found.currency === period.currency) return true;
    }
    return false;
  }

  async #preview(tenantId: string, period: BilledPeriod): Promise<Invoice> {
    const { start, end } = monthOf(period.start);
    const sums = await this.#usage.sums(tenantId, period.currency, start, end);
    const lists = await this.#plans.priceLists(
      tenantId,
      sums.map((sum) => sum.priceListId),
    );
    return openInvoice(period, sums, lists);
  }
}

import { Inject } from '@nestjs/common';
import { Args, ID, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { PageArgs, type Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import type { Invoice } from './invoice.ts';
import { InvoiceConnection, InvoiceType } from './invoices.graph.ts';
import { InvoicesService } from './invoices.service.ts';

@Resolver(() => InvoiceType)
export class InvoicesResolver {
  readonly #invoices: InvoicesService;

  constructor(@Inject(InvoicesService) invoices: InvoicesService) {
    this.#invoices = invoices;
  }

  @Query(() => InvoiceConnection, {
    description: "The tenant's invoices, newest period first, with the preview of the running month. Needs the scope invoices.read.",
  })
  async invoices(@CurrentPrincipal() principal: Principal, @Args() args: PageArgs): Promise<Connection<InvoiceType>> {
    const page = await this.#invoices.list(principal, args);
    const edges = page.edges.map(({ cursor, node }) => ({ cursor, node: toGraph(node) }));
    return { edges, nodes: edges.map(({ node }) => node), pageInfo: page.pageInfo };
  }

  @Query(() => InvoiceType, { description: 'One invoice of the tenant; needs the scope invoices.read.' })
  async invoice(
    @CurrentPrincipal() principal: Principal,
    @Args('id', { type: () => ID, description: 'Its id.' }) id: string,
  ): Promise<InvoiceType> {
    return toGraph(await this.#invoices.find(principal, id));
  }
}

function toGraph(invoice: Invoice): InvoiceType {
  return { ...invoice, number: null, lines: [...invoice.lines] };
}

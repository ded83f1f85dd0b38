import { Inject } from '@nestjs/common';
import { Args, ID, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import type { Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import type { Receipt } from './receipt.ts';
import { ReceiptConnection, ReceiptsArgs, ReceiptType } from './receipts.graph.ts';
import { ReceiptsService } from './receipts.service.ts';

@Resolver(() => ReceiptType)
export class ReceiptsResolver {
  readonly #receipts: ReceiptsService;

  constructor(@Inject(ReceiptsService) receipts: ReceiptsService) {
    this.#receipts = receipts;
  }

  @Query(() => ReceiptType, {
    description: 'The receipt of one call; it appears some moments after the answer. Needs the scope usage.read.',
  })
  async receipt(
    @CurrentPrincipal() principal: Principal,
    @Args('id', { type: () => ID, description: 'The receiptId that the call was answered with.' }) id: string,
  ): Promise<Receipt> {
    return this.#receipts.find(principal, id);
  }

  @Query(() => ReceiptConnection, { description: "The tenant's calls one by one, newest first; needs the scope usage.read." })
  async receipts(@CurrentPrincipal() principal: Principal, @Args() args: ReceiptsArgs): Promise<Connection<Receipt>> {
    const { from = null, to = null, model = null, principalId = null } = args;
    return this.#receipts.list(principal, { from, to, model, principalId }, args);
  }
}

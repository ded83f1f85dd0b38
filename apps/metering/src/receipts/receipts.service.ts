import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import { pageOf, pageRequest, type Connection, type PageArgs } from '@weir/platform/graphql';
import { isSearchable } from '../search-text.ts';
import { checkReceiptFilter, receiptCursor, sortKeyOf, type Receipt, type ReceiptFilter } from './receipt.ts';
import { ReceiptsStore } from './receipts.store.ts';

/** The calls of the principal's tenant, one by one. */
@Injectable()
export class ReceiptsService {
  readonly #receipts: ReceiptsStore;

  constructor(@Inject(ReceiptsStore) receipts: ReceiptsStore) {
    this.#receipts = receipts;
  }

  /**
   * One receipt. It appears some moments after its call was answered.
   *
   * @throws access.forbidden  without `usage.read`
   * @throws receipt.not_found no such call in the principal's tenant
   */
  async find(principal: Principal, id: string): Promise<Receipt> {
    authorise(principal, 'usage.read');
    const receipt = isSearchable(id) ? await this.#receipts.find(principal.tenantId, id) : null;
    if (receipt === null) throw new AppError('receipt.not_found', { field: 'id' });
    return receipt;
  }

  /**
   * One page of receipts, newest first.
   *
   * @throws access.forbidden without `usage.read`
   * @throws request.invalid  naming the field: the range, the page size, the cursor
   */
  async list(principal: Principal, filter: ReceiptFilter, args: PageArgs): Promise<Connection<Receipt>> {
    authorise(principal, 'usage.read');
    checkReceiptFilter(filter);
    const request = pageRequest(args);
    return pageOf(await this.#receipts.list(principal.tenantId, filter, receiptCursor(request), request.take), request, sortKeyOf);
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import { isSearchable } from '../search-text.ts';
import type { Reconciliation } from './reconciliation.ts';
import { ReconciliationStore } from './reconciliation.store.ts';

/** Proof that the sums are the ledger's. */
@Injectable()
export class ReconciliationService {
  readonly #store: ReconciliationStore;

  constructor(@Inject(ReconciliationStore) store: ReconciliationStore) {
    this.#store = store;
  }

  /**
   * Compares a tenant's ledger with its buckets and hourly totals.
   *
   * @throws access.forbidden without `operator`
   * @throws request.invalid  the id cannot be one
   */
  async reconcile(principal: Principal, tenantId: string): Promise<Reconciliation> {
    authorise(principal, 'operator');
    if (tenantId === '' || tenantId === '*' || !isSearchable(tenantId))
      throw new AppError('request.invalid', { field: 'tenantId', message: 'tenantId: must be the id of a tenant.' });
    return this.#store.reconcile(tenantId);
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import type { UsageReconciliation } from './reconciliation.ts';
import { ReconciliationStore } from './reconciliation.store.ts';

const MAX_ID_LENGTH = 64;

/** Proof that what is billed is what was metered. */
@Injectable()
export class ReconciliationService {
  readonly #store: ReconciliationStore;

  constructor(@Inject(ReconciliationStore) store: ReconciliationStore) {
    this.#store = store;
  }

  /**
   * Whether the sums of periods are what metering counted.
   *
   * @param tenantId null for the periods of all tenants that do not agree
   * @throws access.forbidden without `operator`
   * @throws request.invalid  the id cannot be one
   */
  async find(principal: Principal, tenantId: string | null): Promise<readonly UsageReconciliation[]> {
    authorise(principal, 'operator');
    if (tenantId !== null && !isTenantId(tenantId))
      throw new AppError('request.invalid', { field: 'tenantId', message: 'tenantId: must be the id of a tenant.' });
    return this.#store.find(tenantId);
  }
}

/** Can it be the id of a tenant, and the scope of a transaction? */
function isTenantId(text: string): boolean {
  return text !== '' && text !== '*' && text.length <= MAX_ID_LENGTH && !text.includes('\u0000') && text.isWellFormed();
}

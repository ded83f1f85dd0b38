import type { UsageOutcome } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { cursorError, cursorInstant, type PageRequest } from '@weir/platform/graphql';
import { checkText, isSearchable } from '../search-text.ts';

/** What a call used, and what it cost: the proof of one ledger entry. */
export interface Receipt {
  readonly id: string;
  readonly occurredAt: Date;
  readonly modelId: string;
  readonly model: string;
  readonly version: string;
  readonly surface: string;
  readonly principalKind: string;
  readonly principalId: string;
  readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
  readonly priceListId: string;
  readonly cost: { readonly amount: string; readonly currency: string };
  readonly latencyMs: number;
  /** How the call ended; one that was not answered is billed for what had begun to run. */
  readonly outcome: UsageOutcome;
}

/** Which receipts to list. */
export interface ReceiptFilter {
  readonly from: Date | null;
  readonly to: Date | null;
  readonly model: string | null;
  readonly principalId: string | null;
}

/** @throws request.invalid naming the field */
export function checkReceiptFilter(filter: ReceiptFilter): void {
  if (filter.from !== null && filter.to !== null && filter.from >= filter.to)
    throw new AppError('request.invalid', { field: 'from', message: 'from: must be before to.' });
  checkText('model', filter.model);
  checkText('principalId', filter.principalId);
}

/** Where a receipt stands in the list: newest first. */
export function sortKeyOf(receipt: Receipt): readonly string[] {
  return [receipt.occurredAt.toISOString(), receipt.id];
}

/** The receipt behind which a page begins. */
export interface ReceiptCursor {
  readonly occurredAt: Date;
  readonly id: string;
}

/**
 * The sort key in a cursor; null for the first page.
 *
 * @throws request.invalid it is a cursor of another list
 */
export function receiptCursor(page: PageRequest): ReceiptCursor | null {
  if (page.after === null) return null;
  const [occurredAt, id] = page.after;
  if (page.after.length !== 2 || id === undefined || !isSearchable(id)) throw cursorError();
  return { occurredAt: cursorInstant(occurredAt), id };
}

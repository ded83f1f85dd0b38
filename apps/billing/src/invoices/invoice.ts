import type { Meter, PriceList } from '@weir/contracts';
import { AppError, roundToPayable, type Money } from '@weir/kernel';
import { cursorError, cursorInstant, type PageRequest } from '@weir/platform/graphql';
import { compilePriceList, sumAmounts } from '@weir/pricing';
import type { BilledPeriod, PeriodSum } from '../usage/usage-sums.store.ts';

/** What one model cost by one meter at one price list. */
export interface InvoiceLine {
  readonly model: string;
  readonly meter: Meter;
  readonly description: string;
  /** Units used: exactly what the ledger's entries add up to. */
  readonly quantity: string;
  readonly unitAmount: string;
  readonly per: number;
  /** quantity × unitAmount / per, exact. */
  readonly amount: string;
  /** Calls that used the meter. */
  readonly calls: number;
  readonly priceListId: string;
}

/** What a tenant owes for a calendar month in a currency. Invoices are not closed yet: each is a preview that is computed when it is asked for. */
export interface Invoice {
  readonly id: string;
  readonly status: 'open';
  readonly periodStart: Date;
  /** First moment behind the period. */
  readonly periodEnd: Date;
  readonly currency: string;
  readonly lines: readonly InvoiceLine[];
  /** Exact sum of the lines. */
  readonly total: Money;
  /** The total as it can be paid: rounded half to even to the currency's minor unit. */
  readonly payable: Money;
  /** Start of the latest hour of which usage is included; null when nothing was used. */
  readonly usageThrough: Date | null;
}

/** The calendar month in UTC that holds the moment: its first moment, and the first behind it. */
export function monthOf(moment: Date): { readonly start: Date; readonly end: Date } {
  const [year, month] = [moment.getUTCFullYear(), moment.getUTCMonth()];
  return { start: new Date(Date.UTC(year, month, 1)), end: new Date(Date.UTC(year, month + 1, 1)) };
}

/** Names an open invoice until it is closed and gets an id and a number of its own. */
export function openInvoiceId(period: BilledPeriod): string {
  return `open-${period.start.toISOString().slice(0, 7)}-${period.currency}`;
}

const OPEN_ID_PATTERN = /^open-(20\d\d-(?:0[1-9]|1[0-2]))-([A-Z]{3})$/;

/** The period that an id names; null for what is no id of an open invoice. */
export function periodOfId(id: string): BilledPeriod | null {
  const [, month, currency] = OPEN_ID_PATTERN.exec(id) ?? [];
  return month === undefined || currency === undefined ? null : { start: new Date(`${month}-01T00:00:00.000Z`), currency };
}

/** Where an invoice stands in the list: newest period first. */
export function sortKeyOf(period: BilledPeriod): readonly string[] {
  return [period.start.toISOString(), period.currency];
}

/**
 * The sort key in a cursor; null for the first page.
 *
 * @throws request.invalid it is a cursor of another list
 */
export function invoiceCursor(page: PageRequest): BilledPeriod | null {
  if (page.after === null) return null;
  const [start, currency] = page.after;
  if (page.after.length !== 2 || currency === undefined || !/^[A-Z]{3}$/.test(currency)) throw cursorError();
  return { start: cursorInstant(start), currency };
}

/**
 * The invoice for what was used in a period. Each sum is rated by the price list that its calls were priced by, so the lines
 * agree with the receipts whatever prices were published since.
 *
 * @throws internal.error a price list is missing that was there when the usage was taken in
 */
export function openInvoice(period: BilledPeriod, sums: readonly PeriodSum[], priceLists: ReadonlyMap<string, PriceList>): Invoice {
  const lines = sums.map((sum) => lineOf(sum, priceLists));
  const { start, end } = monthOf(period.start);
  const total: Money = { amount: sumAmounts(lines.map((line) => line.amount)), currency: period.currency };
  const latestMs = Math.max(...sums.map((sum) => sum.latestHour.getTime()));
  return {
    id: openInvoiceId(period),
    status: 'open',
    periodStart: start,
    periodEnd: end,
    currency: period.currency,
    lines,
    total,
    payable: roundToPayable(total),
    usageThrough: sums.length === 0 ? null : new Date(latestMs),
  };
}

function lineOf(sum: PeriodSum, priceLists: ReadonlyMap<string, PriceList>): InvoiceLine {
  const list = priceLists.get(sum.priceListId);
  if (list === undefined) throw new AppError('internal.error', { cause: new Error(`the price list ${sum.priceListId} is gone`) });
  const [line] = compilePriceList(list).rate(sum.model, [{ meter: sum.meter, quantity: sum.quantity }]).lines;
  if (line === undefined) throw new AppError('internal.error', { cause: new Error('a quantity was not rated') });
  const { model, meter, calls, priceListId } = sum;
  return {
    model,
    meter,
    description: `${model}: ${DESCRIPTIONS[meter]}`,
    quantity: line.quantity,
    unitAmount: line.unitAmount,
    per: line.per,
    amount: line.amount,
    calls,
    priceListId,
  };
}

const DESCRIPTIONS: Readonly<Record<Meter, string>> = {
  requests: 'requests',
  inputs: 'inputs',
  'input-tokens': 'input tokens',
  'audio-seconds': 'seconds of audio',
};

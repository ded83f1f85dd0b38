import { Decimal, sumDecimals } from '@weir/kernel';
import type { PlatformClient } from './platform-client.ts';

export interface Receipt {
  readonly id: string;
  readonly model: string;
  readonly cost: { readonly amount: string; readonly currency: string };
  readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
}

export interface InvoiceLine {
  readonly model: string;
  readonly meter: string;
  readonly quantity: string;
  readonly amount: string;
}

export interface Invoice {
  readonly status: string;
  readonly lines: readonly InvoiceLine[];
  readonly total: { readonly amount: string; readonly currency: string };
}

/** Every receipt of the tenant, page by page. */
export async function allReceipts(client: PlatformClient): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  let after: string | null = null;
  do {
    const page: { receipts: { nodes: Receipt[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } } = await client.data(
      'query ($after: String) { receipts(first: 100, after: $after) { nodes { id model cost { amount currency } quantities { meter quantity } } pageInfo { hasNextPage endCursor } } }',
      { after },
    );
    receipts.push(...page.receipts.nodes);
    after = page.receipts.pageInfo.hasNextPage ? page.receipts.pageInfo.endCursor : null;
  } while (after !== null);
  return receipts;
}

export async function openInvoice(client: PlatformClient): Promise<Invoice> {
  const { invoices } = await client.data<{ invoices: { nodes: Invoice[] } }>(
    'query { invoices(first: 1) { nodes { status lines { model meter quantity amount } total { amount currency } } } }',
  );
  const [invoice] = invoices.nodes;
  if (invoice === undefined) throw new Error('the tenant has no invoice');
  return invoice;
}

/** Quantities of the receipts by model and meter, exact: what the invoice must say. */
export function quantitiesOf(receipts: readonly Receipt[]): Record<string, string> {
  const sums: Record<string, Decimal> = {};
  for (const { model, quantities } of receipts) {
    for (const { meter, quantity } of quantities) {
      const key = `${model} ${meter}`;
      sums[key] = (sums[key] ?? new Decimal(0)).plus(quantity);
    }
  }
  return Object.fromEntries(
    Object.entries(sums)
      .filter(([, sum]) => !sum.isZero())
      .map(([key, sum]) => [key, sum.toFixed()]),
  );
}

/** The same of an invoice. */
export function invoicedQuantities(invoice: Invoice): Record<string, string> {
  return Object.fromEntries(
    invoice.lines
      .filter(({ quantity }) => !new Decimal(quantity).isZero())
      .map(({ model, meter, quantity }) => [`${model} ${meter}`, new Decimal(quantity).toFixed()]),
  );
}

export function totalOf(receipts: readonly Receipt[]): string {
  return new Decimal(sumDecimals(receipts.map((receipt) => receipt.cost.amount))).toFixed();
}

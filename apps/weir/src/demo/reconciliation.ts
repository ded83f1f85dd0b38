import { Decimal, roundToPayable, sumDecimals } from '@weir/kernel';
import type { AnsweredCall } from './demonstration-calls.ts';
import type { Receipt, Statement } from './statement.ts';

/**
 * Everything that does not agree to the last digit: answers with receipts, the ledger with what it held before and
 * the calls since, the invoice with the ledger, and the invoice with itself.
 */
export function differences(
  before: Statement,
  after: Statement,
  calls: readonly AnsweredCall[],
  receipts: readonly (Receipt | null)[],
): string[] {
  return [...ofReceipts(calls, receipts), ...ofLedger(before, after, calls), ...ofInvoice(after)];
}

function ofReceipts(calls: readonly AnsweredCall[], receipts: readonly (Receipt | null)[]): string[] {
  return calls.flatMap((call, index) => {
    const receipt = receipts[index];
    if (receipt === null || receipt === undefined) return [`there is no receipt ${call.receiptId} of the call of ${call.model}`];
    const found: string[] = [];
    if (!equal(receipt.cost.amount, call.cost.amount) || receipt.cost.currency !== call.cost.currency) {
      found.push(`the call of ${call.model} cost ${call.cost.amount}, its receipt says ${receipt.cost.amount}`);
    }
    for (const part of call.usage) {
      const kept = receipt.quantities.find((quantity) => quantity.meter === part.meter)?.quantity ?? '0';
      if (!equal(kept, part.quantity))
        found.push(`the call of ${call.model} used ${part.quantity} ${part.meter}, its receipt says ${kept}`);
    }
    return found;
  });
}

/** Others may use the tenant at the same time, so the ledger may have grown by more than the calls. */
function ofLedger(before: Statement, after: Statement, calls: readonly AnsweredCall[]): string[] {
  const found: string[] = [];
  if (after.calls < before.calls + calls.length)
    found.push(`the ledger counts ${after.calls} calls, ${before.calls + calls.length} were made`);
  for (const call of calls) {
    for (const part of call.usage) {
      const expected = new Decimal(quantityIn(before, call.model, part.meter)).plus(part.quantity);
      const counted = quantityIn(after, call.model, part.meter);
      if (new Decimal(counted).lessThan(expected))
        found.push(`the ledger counts ${counted} ${part.meter} of ${call.model}, at least ${expected.toFixed()} were used`);
    }
  }
  return found;
}

function ofInvoice({ usage, invoice }: Statement): string[] {
  const found: string[] = [];
  const keys = new Set([...usage, ...invoice.lines].map((line) => `${line.model} ${line.meter}`));
  for (const key of keys) {
    const used = usage.filter((line) => `${line.model} ${line.meter}` === key);
    const billed = invoice.lines.filter((line) => `${line.model} ${line.meter}` === key);
    const quantities = [sumDecimals(used.map((line) => line.quantity)), sumDecimals(billed.map((line) => line.quantity))] as const;
    const amounts = [sumDecimals(used.map((line) => line.cost.amount)), sumDecimals(billed.map((line) => line.amount))] as const;
    if (!equal(...quantities)) found.push(`${key}: the ledger has ${quantities[0]} units, the invoice ${quantities[1]}`);
    if (!equal(...amounts)) found.push(`${key}: the ledger has a cost of ${amounts[0]}, the invoice ${amounts[1]}`);
  }
  const sum = sumDecimals(invoice.lines.map((line) => line.amount));
  if (!equal(sum, invoice.total.amount)) found.push(`the lines of the invoice sum to ${sum}, its total is ${invoice.total.amount}`);
  const payable = roundToPayable(invoice.total);
  if (!equal(payable.amount, invoice.payable.amount))
    found.push(`the total rounds to ${payable.amount}, ${invoice.payable.amount} is to be paid`);
  return found;
}

function quantityIn(statement: Statement, model: string, meter: string): string {
  return sumDecimals(statement.usage.filter((line) => line.model === model && line.meter === meter).map((line) => line.quantity));
}

const equal = (a: string, b: string): boolean => new Decimal(a).equals(b);

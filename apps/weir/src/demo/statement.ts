import { setTimeout as sleep } from 'node:timers/promises';
import type { Money } from '@weir/kernel';
import { callGraph, GraphError } from '../seed/graph-client.ts';
import { StartError } from '../start-error.ts';
import type { AnsweredCall } from './demonstration-calls.ts';
import { differences } from './reconciliation.ts';

const POLL_MS = 250;

/** A line of the ledger's sums: what a model's meter counted. */
export interface UsageLine {
  readonly model: string;
  readonly meter: string;
  readonly quantity: string;
  readonly cost: Money;
}

export interface InvoiceLine {
  readonly model: string;
  readonly meter: string;
  readonly quantity: string;
  /** In the invoice's currency, exact. */
  readonly amount: string;
}

export interface Invoice {
  readonly periodStart: string;
  readonly periodEnd: string;
  readonly currency: string;
  readonly lines: readonly InvoiceLine[];
  /** Sum of the lines, exact. */
  readonly total: Money;
  /** The total as it can be paid. */
  readonly payable: Money;
}

/** What the ledger and the invoice say at one moment. */
export interface Statement {
  readonly calls: number;
  readonly usage: readonly UsageLine[];
  readonly invoice: Invoice;
}

export interface Receipt {
  readonly id: string;
  readonly model: string;
  readonly cost: Money;
  readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
}

const INVOICE = `query {
  invoices(first: 1) {
    nodes {
      periodStart periodEnd currency
      lines { model meter quantity amount }
      total { amount currency }
      payable { amount currency }
    }
  }
}`;

const USAGE = `query ($filter: UsageFilter!, $after: String) {
  usage(filter: $filter, groupBy: [MODEL, METER], first: 100, after: $after) {
    nodes { model meter quantity cost { amount currency } }
    totals { calls }
    pageInfo { hasNextPage endCursor }
  }
}`;

const RECEIPT = `query ($id: ID!) {
  receipt(id: $id) { id model cost { amount currency } quantities { meter quantity } }
}`;

/** Reads the open invoice and the ledger's sums of its period. */
export async function readStatement(url: string, owner: string): Promise<Statement> {
  const { invoices } = await query<{ invoices: { nodes: Invoice[] } }>(url, owner, INVOICE);
  const invoice = invoices.nodes[0];
  if (invoice === undefined) throw new StartError('The tenant has no invoice preview: it has no subscription.');
  const usage: UsageLine[] = [];
  let calls = 0;
  let after: string | undefined;
  do {
    const page = await query<{
      usage: { nodes: UsageLine[]; totals: { calls: number }; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
    }>(url, owner, USAGE, {
      filter: { from: invoice.periodStart, to: invoice.periodEnd, grain: 'DAY' },
      after,
    });
    usage.push(...page.usage.nodes);
    calls = page.usage.totals.calls;
    after = page.usage.pageInfo.hasNextPage ? (page.usage.pageInfo.endCursor ?? undefined) : undefined;
  } while (after !== undefined);
  return { calls, usage, invoice };
}

/**
 * Waits until receipts, ledger and invoice contain the calls and agree exactly.
 *
 * @throws StartError with what does not agree when that did not happen in time
 */
export async function untilBilled(
  url: string,
  owner: string,
  before: Statement,
  calls: readonly AnsweredCall[],
  timeoutMs: number,
): Promise<{ statement: Statement; receipts: readonly Receipt[] }> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(POLL_MS)) {
    const receipts = await Promise.all(calls.map((call) => readReceipt(url, owner, call.receiptId)));
    const statement = await readStatement(url, owner);
    const found = differences(before, statement, calls, receipts);
    if (found.length === 0) return { statement, receipts: receipts.filter((receipt) => receipt !== null) };
    if (Date.now() > deadline)
      throw new StartError(`After ${timeoutMs / 1000} s this does not add up:\n${found.map((difference) => `  ${difference}`).join('\n')}`);
  }
}

async function readReceipt(url: string, owner: string, id: string): Promise<Receipt | null> {
  try {
    return (await query<{ receipt: Receipt }>(url, owner, RECEIPT, { id })).receipt;
  } catch (error) {
    // It appears some moments after its call.
    if (error instanceof GraphError && error.code === 'receipt.not_found') return null;
    throw error;
  }
}

function query<T>(url: string, credential: string, document: string, variables: Record<string, unknown> = {}): Promise<T> {
  return callGraph<T>({ url: `${url}/graphql`, headers: { authorization: `Bearer ${credential}` }, document, variables });
}

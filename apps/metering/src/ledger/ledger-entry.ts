import type { EventEnvelope, Meter, Usage, UsageOutcome } from '@weir/contracts';
import { sumAmounts } from '@weir/pricing';

/** What the ledger keeps of one quantity of a call. */
export interface LedgerQuantity {
  readonly meter: Meter;
  /** Units used, a plain decimal, never negative. */
  readonly quantity: string;
  /** Its part of the call's cost, in the call's currency. */
  readonly amount: string;
}

/** One metered call as the ledger keeps it. */
export interface LedgerEntry {
  readonly tenantId: string;
  /** The process that recorded it; with `eventId` it tells a repeated event from a new one. */
  readonly source: string;
  readonly eventId: string;
  readonly receiptId: string;
  readonly occurredAt: string;
  readonly principalKind: Usage['principalKind'];
  readonly principalId: string;
  readonly modelId: string;
  readonly model: string;
  readonly versionId: string;
  readonly version: string;
  readonly surface: Usage['surface'];
  /** Each meter once; the amounts sum to `cost`. */
  readonly quantities: readonly LedgerQuantity[];
  readonly priceListId: string;
  readonly currency: string;
  readonly cost: string;
  readonly latencyMs: number;
  readonly outcome: UsageOutcome;
  /** Receipts that this call repeats when one of them is recorded less than 24 hours apart; null for most calls. */
  readonly neighbourReceiptIds: readonly string[] | null;
}

/** Nothing was called before the platform was made; PostgreSQL and a clock that was never set disagree about the years before. */
const EARLIEST_MS = Date.UTC(2020, 0, 1);

/**
 * Why a usage event can never be recorded, or null when it can. What is refused here would either be charged to the
 * wrong tenant, lower a bill, or be refused by PostgreSQL for ever and so stop its partition.
 */
export function refusal(event: EventEnvelope<Usage>): string | null {
  const usage = event.data;
  if (event.tenant !== usage.tenantId) return 'the tenant of the envelope is not the tenant of the payload';
  if (usage.cost.amount.startsWith('-')) return 'the cost is negative';
  if (usage.quantities.some(({ quantity, amount }) => quantity.startsWith('-') || amount?.startsWith('-'))) return 'a quantity is negative';
  if (!(Date.parse(usage.occurredAt) >= EARLIEST_MS)) return 'it occurred before 2020';
  const text = [
    event.id,
    event.source,
    usage.tenantId,
    usage.receiptId,
    usage.principalId,
    usage.modelId,
    usage.versionId,
    usage.version,
    usage.priceListId,
    ...(usage.neighbourReceiptIds ?? []),
  ].join('');
  if (text.includes('\u0000') || !text.isWellFormed()) return 'a text holds a character that cannot be stored';
  return null;
}

/** The entry for an event that `refusal` lets through. */
export function ledgerEntryOf(event: EventEnvelope<Usage>): LedgerEntry {
  const usage = event.data;
  return {
    tenantId: usage.tenantId,
    source: event.source,
    eventId: event.id,
    receiptId: usage.receiptId,
    occurredAt: usage.occurredAt,
    principalKind: usage.principalKind,
    principalId: usage.principalId,
    modelId: usage.modelId,
    model: usage.model,
    versionId: usage.versionId,
    version: usage.version,
    surface: usage.surface,
    quantities: quantitiesOf(usage),
    priceListId: usage.priceListId,
    currency: usage.cost.currency,
    cost: usage.cost.amount,
    latencyMs: usage.latencyMs,
    outcome: usage.outcome ?? 'answered',
    neighbourReceiptIds: usage.neighbourReceiptIds ?? null,
  };
}

const DAY_MS = 24 * 3_600_000;

/** The entries without those that repeat one before them under another receipt: in the ledger itself the statement sees to it. */
export function withoutRepetitions(entries: readonly LedgerEntry[]): LedgerEntry[] {
  const keyed = new Map<string, LedgerEntry>();
  return entries.filter((entry) => {
    if (entry.neighbourReceiptIds === null) return true;
    const repeated = entry.neighbourReceiptIds
      .map((receiptId) => keyed.get(JSON.stringify([entry.tenantId, receiptId])))
      .some((other) => other !== undefined && Math.abs(Date.parse(other.occurredAt) - Date.parse(entry.occurredAt)) < DAY_MS);
    if (!repeated) keyed.set(JSON.stringify([entry.tenantId, entry.receiptId]), entry);
    return !repeated;
  });
}

/** Each meter once, with its part of the cost; what no quantity accounts for is counted with the first, so that the parts always sum to the cost. */
function quantitiesOf(usage: Usage): LedgerQuantity[] {
  const byMeter = new Map<Meter, { quantity: string; amount: string }>();
  for (const { meter, quantity, amount = '0' } of usage.quantities) {
    const known = byMeter.get(meter);
    byMeter.set(
      meter,
      known === undefined
        ? { quantity, amount }
        : { quantity: sumAmounts([known.quantity, quantity]), amount: sumAmounts([known.amount, amount]) },
    );
  }
  const quantities = [...byMeter].map(([meter, { quantity, amount }]) => ({ meter, quantity, amount }));
  const [first, ...others] = quantities;
  if (first === undefined) return [];
  return [
    { ...first, amount: sumAmounts([usage.cost.amount, ...others.map(({ amount }) => (amount === '0' ? amount : `-${amount}`))]) },
    ...others,
  ];
}

/** How many hourly totals the entries can change at most: the number of event ids that announcing them may need. */
export function hourlyTotalsOf(entries: readonly LedgerEntry[]): number {
  const totals = new Set<string>();
  for (const entry of entries) {
    const hour = Math.floor(Date.parse(entry.occurredAt) / 3_600_000);
    for (const { meter } of entry.quantities)
      totals.add(JSON.stringify([entry.tenantId, hour, entry.modelId, entry.model, meter, entry.priceListId, entry.currency]));
  }
  return totals.size;
}

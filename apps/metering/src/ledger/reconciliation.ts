/** A sum that is not what the ledger's own entries add up to. */
export interface SumDifference {
  /** Which sums: the buckets of a grain, or the hourly totals that billing is told. */
  readonly sums: 'minute' | 'hour' | 'day' | 'totals';
  readonly model: string;
  readonly meter: string;
  readonly priceListId: string;
  readonly currency: string;
  /** What the ledger's entries add up to; `0` where it has none. */
  readonly ledgerQuantity: string;
  readonly summedQuantity: string;
  readonly ledgerCost: string;
  /** Equal to `ledgerCost` for `totals`, which hold no cost. */
  readonly summedCost: string;
  readonly ledgerCalls: number;
  readonly summedCalls: number;
  /** Calls that name this meter first: over all meters each call once. */
  readonly ledgerLeadingCalls: number;
  /** Equal to `ledgerLeadingCalls` for `totals`, which do not hold them. */
  readonly summedLeadingCalls: number;
}

/** Whether everything that metering has summed up agrees with its ledger, to the last digit. */
export interface Reconciliation {
  readonly tenantId: string;
  /** Calls in the ledger. */
  readonly calls: number;
  readonly isReconciled: boolean;
  /** At most 100. */
  readonly differences: readonly SumDifference[];
}

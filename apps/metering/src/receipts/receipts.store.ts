import { Inject, Injectable } from '@nestjs/common';
import { usageOutcomeSchema } from '@weir/contracts';
import { Database } from '@weir/platform/database';
import { z } from 'zod';
import type { LedgerEntry, PrismaClient } from '../generated/prisma/client.ts';
import type { Receipt, ReceiptCursor, ReceiptFilter } from './receipt.ts';

/** As the ledger's statement writes them. */
const quantitiesSchema = z.array(z.object({ meter: z.string(), quantity: z.string() }));

/** Reads the ledger, call by call. */
@Injectable()
export class ReceiptsStore {
  readonly #database: Database<PrismaClient>;

  constructor(@Inject(Database) database: Database<PrismaClient>) {
    this.#database = database;
  }

  async find(tenantId: string, id: string): Promise<Receipt | null> {
    const entry = await this.#database.transaction(tenantId, (tx) => tx.ledgerEntry.findFirst({ where: { tenantId, receiptId: id } }));
    return entry === null ? null : receiptOf(entry);
  }

  /** Up to `take` receipts behind `after`, newest first. */
  async list(tenantId: string, filter: ReceiptFilter, after: ReceiptCursor | null, take: number): Promise<Receipt[]> {
    const entries = await this.#database.transaction(tenantId, (tx) =>
      tx.ledgerEntry.findMany({
        where: {
          tenantId,
          ...(filter.model === null ? {} : { model: filter.model }),
          ...(filter.principalId === null ? {} : { principalId: filter.principalId }),
          occurredAt: { ...(filter.from === null ? {} : { gte: filter.from }), ...(filter.to === null ? {} : { lt: filter.to }) },
          ...(after === null
            ? {}
            : { OR: [{ occurredAt: { lt: after.occurredAt } }, { occurredAt: after.occurredAt, receiptId: { lt: after.id } }] }),
        },
        orderBy: [{ occurredAt: 'desc' }, { receiptId: 'desc' }],
        take,
      }),
    );
    return entries.map(receiptOf);
  }
}

function receiptOf(entry: LedgerEntry): Receipt {
  return {
    id: entry.receiptId,
    occurredAt: entry.occurredAt,
    modelId: entry.modelId,
    model: entry.model,
    version: entry.version,
    surface: entry.surface,
    principalKind: entry.principalKind,
    principalId: entry.principalId,
    quantities: quantitiesSchema.parse(entry.quantities),
    priceListId: entry.priceListId,
    cost: { amount: entry.cost.toFixed(), currency: entry.currency },
    latencyMs: entry.latencyMs,
    outcome: usageOutcomeSchema.parse(entry.outcome),
  };
}

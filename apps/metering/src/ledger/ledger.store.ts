import { Inject, Injectable } from '@nestjs/common';
import { ACROSS_TENANTS, Database, OutboxRelay } from '@weir/platform/database';
import type { LedgerEntry } from './ledger-entry.ts';
import { RECORD_CALLS } from './ledger.statement.ts';

/** Calls of one partition, in order. */
export interface LedgerBatch {
  readonly topic: string;
  readonly partition: number;
  /** The offset behind the last record that was read, also when that record was not a call. */
  readonly nextOffset: number;
  readonly entries: readonly LedgerEntry[];
}

/** What the events that a batch gives rise to say about themselves. */
export interface Announcement {
  /** An id for each hourly total that may change; what is too much is not used. */
  readonly eventIds: readonly string[];
  readonly source: string;
  readonly occurredAt: string;
  readonly traceparent: string | null;
}

/** Writes the ledger. Nothing else writes its tables. */
@Injectable()
export class LedgerStore {
  readonly #database: Database;
  readonly #relay: Pick<OutboxRelay, 'wake'>;

  constructor(@Inject(Database) database: Database, @Inject(OutboxRelay) relay: Pick<OutboxRelay, 'wake'>) {
    this.#database = database;
    this.#relay = relay;
  }

  /**
   * Records a batch of calls with everything that follows from them (see `RECORD_CALLS`), or nothing.
   *
   * @returns how many of the calls were not in the ledger before
   */
  async record(batch: LedgerBatch, announcement: Announcement): Promise<number> {
    const recorded = await this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      const { rows } = await client.query<{ recorded: number }>({
        name: 'record-calls',
        text: RECORD_CALLS,
        values: [
          JSON.stringify(batch.entries),
          batch.topic,
          batch.partition,
          batch.nextOffset,
          announcement.eventIds,
          announcement.source,
          announcement.occurredAt,
          announcement.traceparent,
        ],
      });
      return rows[0]?.recorded ?? 0;
    });
    if (recorded > 0) this.#relay.wake();
    return recorded;
  }
}

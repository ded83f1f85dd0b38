import type pg from 'pg';
import type { Logger } from 'pino';
import { pause } from '../back-off.ts';
import type { Log } from './log.ts';

/** How often the log is swept, by whichever process comes first. */
const SWEEP_EVERY_MS = 30_000;
/** Offsets or records that one step looks at: keeps its transaction, and the locks in it, in the milliseconds. */
const STEP_RECORDS = 1_000;
/** A tombstone is kept this long, so that a follower that was cut off for less still sees it. Kafka keeps it as long. */
const TOMBSTONE_GRACE_MS = 86_400_000;

export interface HousekeepingOptions {
  readonly sweepEveryMs?: number | undefined;
  readonly tombstoneGraceMs?: number | undefined;
}

interface PartitionRow {
  readonly id: number;
  readonly is_compacted: boolean;
  readonly retention_ms: string | null;
}

/**
 * Keeps the log small: of projections the last value of each key, of facts what is younger than their retention.
 * Every process offers to do it; an advisory lock in each step's transaction lets one at a time.
 */
export class Housekeeping {
  private readonly log: Log;
  private readonly logger: Logger;
  private readonly sweepEveryMs: number;
  private readonly tombstoneGraceMs: number;
  private running: Promise<void> | null = null;

  constructor(log: Log, logger: Logger, options: HousekeepingOptions = {}) {
    this.log = log;
    this.logger = logger;
    this.sweepEveryMs = options.sweepEveryMs ?? SWEEP_EVERY_MS;
    this.tombstoneGraceMs = options.tombstoneGraceMs ?? TOMBSTONE_GRACE_MS;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Resolves when nothing runs any more; the log's `closed` signal ends it. */
  async stopped(): Promise<void> {
    await this.running;
  }

  private async run(): Promise<void> {
    const { closed } = this.log;
    while (!closed.aborted) {
      // Not all processes at the same moment.
      await pause(this.sweepEveryMs * (0.5 + Math.random()), closed);
      if (closed.aborted) return;
      try {
        if (await this.isDue()) await this.sweep();
      } catch (error) {
        if (!closed.aborted) this.logger.warn({ err: error }, 'the event log could not be swept; trying again later');
      }
    }
  }

  /** Removes all that may go now, in bounded steps. */
  async sweep(): Promise<void> {
    const partitions = await this.log.query<{ id: number; is_compacted: boolean; retention_ms: string | null }>(
      'bus.partitions',
      'select p.id, t.is_compacted, t.retention_ms from bus.topic_partition p join bus.topic t on t.name = p.topic order by p.id',
      [],
    );
    for (const partition of partitions) {
      while (!this.log.closed.aborted && (await this.step(partition)));
    }
  }

  private async isDue(): Promise<boolean> {
    const rows = await this.log.query(
      'bus.sweep-due',
      `update bus.sweep set swept_at = clock_timestamp() where swept_at < clock_timestamp() - make_interval(secs => $1 / 1000.0) returning 1 as due`,
      [this.sweepEveryMs],
    );
    return rows.length > 0;
  }

  /** One bounded step on one partition; is there more to do in it? */
  private async step(partition: PartitionRow): Promise<boolean> {
    return this.log.transaction(async (client) => {
      const { rows } = await client.query<{ is_mine: boolean }>(
        `select pg_try_advisory_xact_lock(hashtextextended('weir.bus.sweep', 0)) as is_mine`,
      );
      if (rows[0]?.is_mine !== true) return false;
      if (!partition.is_compacted)
        return partition.retention_ms !== null && (await expire(client, partition.id, Number(partition.retention_ms)));
      const hasMoreKeys = await compact(client, partition.id);
      return (await dropTombstones(client, partition.id, this.tombstoneGraceMs)) || hasMoreKeys;
    });
  }
}

/** Removes what later values of the same keys have replaced, for the next stretch of offsets. */
async function compact(client: pg.PoolClient, partitionId: number): Promise<boolean> {
  const { rows } = await client.query<{ from: string; to: string; end: string }>(
    `select compacted_to as "from", least(next_offset, compacted_to + $2) as "to", next_offset as "end" from bus.topic_partition where id = $1`,
    [partitionId, STEP_RECORDS],
  );
  const stretch = rows[0];
  if (stretch === undefined || stretch.from === stretch.to) return false;
  await client.query(
    `delete from bus.record old using (
       select key, max("offset") as last_offset from bus.record where partition_id = $1 and "offset" >= $2 and "offset" < $3 group by key
     ) as latest
     where old.partition_id = $1 and old.is_compacted and old.key = latest.key and old."offset" < latest.last_offset`,
    [partitionId, stretch.from, stretch.to],
  );
  await client.query('update bus.topic_partition set compacted_to = $2 where id = $1', [partitionId, stretch.to]);
  return stretch.to !== stretch.end;
}

/** Removes old tombstones whose earlier values are gone, those below `compacted_to`. */
async function dropTombstones(client: pg.PoolClient, partitionId: number, graceMs: number): Promise<boolean> {
  const result = await client.query(
    `delete from bus.record where partition_id = $1 and "offset" in (
       select r."offset" from bus.record r join bus.topic_partition p on p.id = r.partition_id
       where r.partition_id = $1 and r.is_compacted and r.value is null and r."offset" < p.compacted_to
         and r.written_at < clock_timestamp() - make_interval(secs => $2 / 1000.0)
       order by r.written_at limit $3)`,
    [partitionId, graceMs, STEP_RECORDS],
  );
  return result.rowCount === STEP_RECORDS;
}

/** Removes the oldest facts that are over their retention. */
async function expire(client: pg.PoolClient, partitionId: number, retentionMs: number): Promise<boolean> {
  const result = await client.query(
    `delete from bus.record where partition_id = $1 and "offset" in (
       select "offset" from (select "offset", written_at from bus.record where partition_id = $1 order by "offset" limit $3) as oldest
       where written_at < clock_timestamp() - make_interval(secs => $2 / 1000.0))`,
    [partitionId, retentionMs, STEP_RECORDS],
  );
  return result.rowCount === STEP_RECORDS;
}

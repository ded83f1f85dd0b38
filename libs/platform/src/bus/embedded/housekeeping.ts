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

/**
 * Keeps the log small: of projections the last value of each key, of facts what is younger than their retention.
 * Every process offers to do it; an advisory lock in each step's transaction lets one at a time. The statements are functions of the
 * log, because a service's role may delete no records itself.
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
    const partitions = await this.log.query<{ id: number }>('bus.partitions', 'select id from bus.topic_partition order by id', []);
    for (const { id } of partitions) {
      while (!this.log.closed.aborted && (await this.step(id)));
    }
  }

  private async isDue(): Promise<boolean> {
    const rows = await this.log.query<{ is_due: boolean }>('bus.sweep-due', 'select bus.claim_sweep($1) as is_due', [this.sweepEveryMs]);
    return rows[0]?.is_due === true;
  }

  /** One bounded step on one partition; is there more to do in it? */
  private async step(partitionId: number): Promise<boolean> {
    const rows = await this.log.query<{ has_more: boolean }>('bus.sweep', 'select bus.sweep_partition($1, $2, $3) as has_more', [
      partitionId,
      STEP_RECORDS,
      this.tombstoneGraceMs,
    ]);
    return rows[0]?.has_more === true;
  }
}

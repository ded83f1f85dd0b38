import { BackOff, pause, RECONNECT_BACK_OFF } from '../bus/back-off.ts';
import type { EventBus, NewRecord } from '../bus/event-bus.ts';
import { Gauge, type Logger, type Registry } from '../telemetry/index.ts';
import { isConnectionError } from './connection.ts';
import type { Database } from './database.ts';

/** Rows taken in one pass: a burst goes out in few sends, and a pass stays well below a second. */
const BATCH_ROWS = 500;
/** Values of one pass in bytes, so that a pass of large events does not fill the memory. */
const BATCH_BYTES = 8 * 1_048_576;
/** A pass holds its rows locked while it sends; this keeps it below the bound on idle transactions. */
const SEND_TIMEOUT_MS = 10_000;
/** Finds what a process left that was killed between its commit and its wake-up. */
const POLL_INTERVAL_MS = 1_000;
/** How often the gauges are brought up to date. */
const GAUGE_INTERVAL_MS = 5_000;
/** Rows beyond this are not counted: the gauge then says that there are too many, which is all anyone has to know. */
const COUNTED_ROWS = 100_000;

export interface OutboxRelayOptions {
  readonly database: Database;
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly metrics?: Registry | undefined;
  /** Milliseconds between polls; default 1,000. */
  readonly pollIntervalMs?: number | undefined;
}

interface PendingRow {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly value: string | null;
  readonly headers: Record<string, string>;
}

/**
 * Brings committed events from the outbox to the bus, in the order of their ids, and deletes what was sent, in one
 * transaction that holds the rows locked. Killed at any point it loses nothing: what was sent but not deleted is sent
 * again, with the same event ids. A second relay (another process of the service) waits at the locked rows, so two
 * never send side by side.
 */
export class OutboxRelay {
  readonly #options: OutboxRelayOptions;
  readonly #stopping = new AbortController();
  #wakeUp = new AbortController();
  #running: Promise<void> | undefined;
  #measuredAtMs = -Infinity;
  /** As it was last measured. */
  #oldestSeconds = 0;
  readonly #pending: Gauge | undefined;
  readonly #oldest: Gauge | undefined;
  readonly #lastSent: Gauge | undefined;

  constructor(options: OutboxRelayOptions) {
    this.#options = options;
    if (options.metrics === undefined) return;
    const registers = [options.metrics];
    this.#pending = new Gauge({
      name: 'weir_outbox_pending_rows',
      help: `Events that are committed but not yet on the bus (at most ${COUNTED_ROWS} are counted)`,
      registers,
    });
    this.#oldest = new Gauge({
      name: 'weir_outbox_oldest_seconds',
      help: 'Age of the oldest event that is not yet on the bus; 0 when there is none',
      registers,
    });
    this.#lastSent = new Gauge({
      name: 'weir_outbox_last_sent_timestamp_seconds',
      help: 'When events were last sent to the bus, in seconds since the epoch; 0 before the first',
      registers,
    });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Age in seconds of the oldest event that is not on the bus; 0 when there is none. Measured every few seconds. */
  get oldestSeconds(): number {
    return this.#oldestSeconds === 0 ? 0 : this.#oldestSeconds + (performance.now() - this.#measuredAtMs) / 1000;
  }

  /** Looks for events now rather than at the next poll. */
  wake(): void {
    this.#wakeUp.abort();
  }

  /** Ends after the pass in hand. What is left goes out after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    let isFailing = false;
    while (!this.#stopping.signal.aborted) {
      this.#wakeUp = new AbortController();
      let waitMs = this.#options.pollIntervalMs ?? POLL_INTERVAL_MS;
      try {
        const sent = await this.#pass();
        await this.#measure();
        backOff.reset();
        if (isFailing) this.#options.logger.info('events reach the bus again');
        isFailing = false;
        if (sent > 0) {
          this.#lastSent?.set(Date.now() / 1000);
          continue;
        }
      } catch (error) {
        await this.#measure().catch((measureError: unknown) =>
          this.#options.logger.debug({ err: measureError }, 'the outbox cannot be measured'),
        );
        // Back-off is not cut short by wake-ups: while the bus is away each commit would try again.
        waitMs = backOff.nextMs();
        // Told once: an outage of an hour is one line, not two thousand.
        this.#options.logger[isFailing ? 'debug' : 'warn'](
          { err: error },
          'events cannot be brought to the bus now; they stay in the outbox',
        );
        isFailing = true;
        await pause(waitMs, this.#stopping.signal);
        continue;
      }
      await pause(waitMs, AbortSignal.any([this.#wakeUp.signal, this.#stopping.signal]));
    }
  }

  /** One bounded batch. @returns how many rows were sent */
  async #pass(): Promise<number> {
    const client = await this.#options.database.sql.connect();
    let failure: Error | undefined;
    const onError = (error: Error): void => {
      failure = error;
    };
    client.on('error', onError);
    try {
      await client.query('begin');
      const rows = withinBytes((await client.query<PendingRow>(TAKE, [BATCH_ROWS])).rows);
      const outcome = await this.#send(rows);
      if (outcome.sentIds.length > 0) await client.query('delete from outbox where id = any($1::bigint[])', [outcome.sentIds]);
      await client.query('commit');
      if (outcome.failure !== undefined) throw outcome.failure;
      return outcome.sentIds.length;
    } catch (error) {
      if (failure === undefined && isConnectionError(error)) failure = error as Error;
      if (failure === undefined) {
        await client.query('rollback').catch((rollbackError: Error) => {
          failure = rollbackError;
        });
      }
      throw error;
    } finally {
      client.off('error', onError);
      client.release(failure);
    }
  }

  /** Topics go side by side, each in order. A topic that fails keeps its rows; the others' are done. */
  async #send(rows: readonly PendingRow[]): Promise<{ readonly sentIds: readonly string[]; readonly failure: unknown }> {
    const topics = [...Map.groupBy(rows, (row) => row.topic)];
    const results = await Promise.allSettled(
      topics.map(([topic, its]) => this.#options.bus.send(topic, its.map(toNewRecord), { timeoutMs: SEND_TIMEOUT_MS })),
    );
    const rejected = results.find((result) => result.status === 'rejected');
    return {
      sentIds: topics.flatMap(([, its], index) => (results[index]?.status === 'fulfilled' ? its.map((row) => row.id) : [])),
      failure: rejected?.reason,
    };
  }

  /** Also after a pass that failed: that is when someone looks. */
  async #measure(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs < this.#measuredAtMs + GAUGE_INTERVAL_MS) return;
    const { rows } = await this.#options.database.sql.query<{ pending: number; oldest: number }>(MEASURE, [COUNTED_ROWS]);
    this.#measuredAtMs = nowMs;
    this.#oldestSeconds = rows[0]?.oldest ?? 0;
    this.#pending?.set(rows[0]?.pending ?? 0);
    this.#oldest?.set(this.#oldestSeconds);
  }
}

// `outbox.id`, because `id` alone would mean the text of the first column.
const TAKE = 'select id::text, topic, key, value, headers from outbox order by outbox.id limit $1 for update';
const MEASURE = `select count(*)::int as pending, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest
                 from (select created_at from outbox order by id limit $1) as first_rows`;

function withinBytes(rows: readonly PendingRow[]): readonly PendingRow[] {
  let sizeBytes = 0;
  const end = rows.findIndex((row) => (sizeBytes += row.value?.length ?? 0) > BATCH_BYTES);
  // A single event is below the bus' own limit, so the first always fits.
  return end <= 0 ? rows : rows.slice(0, end);
}

function toNewRecord(row: PendingRow): NewRecord {
  return { key: row.key, value: row.value, headers: row.headers };
}

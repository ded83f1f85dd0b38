import type { EventDefinition } from '@weir/contracts';
import type { Clock, Ids } from '@weir/kernel';
import { EVENT_TYPE_HEADER, toRecord } from '../bus/events.ts';
import type { NewRecord } from '../bus/event-bus.ts';
import { checkRecord } from '../bus/record-limits.ts';
import { TRACEPARENT_HEADER } from '../bus/trace-context.ts';
import { currentTraceparent } from '../telemetry/index.ts';

/** The transaction of the state that an event tells of: Prisma's, or a plain connection of `sqlTransaction`. */
export type OutboxTransaction =
  | { $queryRawUnsafe(query: string, ...values: unknown[]): PromiseLike<unknown> }
  | { query(text: string, values: unknown[]): Promise<unknown> };

export interface PublishOptions {
  /** The tenant that the event is about; null for facts about the platform. */
  readonly tenant: string | null;
  /** W3C trace context of the work; by default that of the current span. */
  readonly traceparent?: string | undefined;
}

/** One row for the table `outbox`. */
export interface OutboxRow {
  readonly topic: string;
  readonly key: string;
  /** Null: a tombstone. */
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface OutboxOptions {
  /** The process that writes, for the events' `source`. */
  readonly source: string;
  readonly clock: Clock;
  readonly ids: Ids;
}

/**
 * The lock makes the order of ids the order of commits for one key: whoever writes the same key next waits for this
 * transaction to end. It is taken before the id is drawn, because the second statement runs after the first.
 */
const LOCK_KEY = `select pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 7)) is null as locked`;
const INSERT = `insert into outbox (topic, key, value, headers) values ($1, $2, $3, $4::jsonb) returning id::text`;

/** Events that commit together with the state they tell of. The relay brings them to the bus. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #written = new WeakSet<object>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /**
   * Announces an event when the transaction commits.
   *
   * @throws Error  the payload breaks its contract
   */
  async publish<T>(tx: OutboxTransaction, definition: EventDefinition<T>, data: T, options: PublishOptions): Promise<void> {
    await this.#write(tx, this.row(definition, data, options));
  }

  /** Removes a key from a projection when the transaction commits: a tombstone. */
  async remove<T>(tx: OutboxTransaction, definition: EventDefinition<T>, key: string, options: PublishOptions): Promise<void> {
    await this.#write(
      tx,
      toRow(definition.topic, {
        key,
        value: null,
        headers: { [EVENT_TYPE_HEADER]: definition.type, ...traceHeader(options.traceparent ?? currentTraceparent()) },
      }),
    );
  }

  /** The row of an event, for a service that writes state and outbox in one statement; it calls `OutboxRelay.wake` after it. */
  row<T>(definition: EventDefinition<T>, data: T, options: PublishOptions): OutboxRow {
    const { source, clock, ids } = this.#options;
    return toRow(
      definition.topic,
      toRecord(definition, data, {
        id: ids.next(),
        source,
        tenant: options.tenant,
        occurredAt: new Date(clock.now()).toISOString(),
        traceparent: options.traceparent ?? currentTraceparent(),
      }),
    );
  }

  /** Did this transaction write events? */
  hasWritten(tx: object): boolean {
    return this.#written.delete(tx);
  }

  async #write(tx: OutboxTransaction, row: OutboxRow): Promise<void> {
    const values = [row.topic, row.key, row.value, JSON.stringify(row.headers)];
    if ('query' in tx) {
      await tx.query(LOCK_KEY, [row.topic, row.key]);
      await tx.query(INSERT, values);
    } else {
      await tx.$queryRawUnsafe(LOCK_KEY, row.topic, row.key);
      await tx.$queryRawUnsafe(INSERT, ...values);
    }
    this.#written.add(tx);
  }
}

function toRow(topic: string, record: NewRecord): OutboxRow {
  // What the bus would refuse must fail here, with its cause, and not block everything behind it in the relay.
  checkRecord(record);
  return { topic, key: record.key, value: record.value, headers: record.headers ?? {} };
}

function traceHeader(traceparent: string | undefined): Record<string, string> {
  return traceparent === undefined ? {} : { [TRACEPARENT_HEADER]: traceparent };
}

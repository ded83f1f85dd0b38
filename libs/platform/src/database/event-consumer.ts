import type { EventDefinition, EventEnvelope } from '@weir/contracts';
import type pg from 'pg';
import type { BusRecord, EventBus, RecordBatch, Subscription } from '../bus/event-bus.ts';
import { EVENT_TYPE_HEADER, eventTypeOf, parseRecord } from '../bus/events.ts';
import type { Logger } from '../telemetry/index.ts';
import { ACROSS_TENANTS, type Database } from './database.ts';

/** An event as it was read, with where it stood. */
export interface ConsumedEvent<T> extends EventEnvelope<T> {
  readonly key: string;
  readonly partition: number;
  readonly offset: number;
}

/** The effect of one kind of record. Runs in the transaction in which the offset is kept. */
export interface RecordHandler {
  readonly topic: string;
  readonly type: string;
  readonly isTombstone: boolean;
  apply(records: readonly BusRecord[], tx: pg.PoolClient): Promise<void>;
}

/**
 * Handles events of one type: those that stood beside each other in a partition together, in order.
 * Everything that `handle` writes through `tx` commits together with the offset, so each record has its effect exactly once.
 * A producer that crashed may have sent an event again, at another offset under the same id: an effect that must not
 * happen twice for an event (a sum) keeps the ids, as a primary key. `tx` sees the rows of all tenants.
 */
export function on<T>(
  definition: EventDefinition<T>,
  handle: (events: readonly ConsumedEvent<T>[], tx: pg.PoolClient) => Promise<void>,
): RecordHandler {
  return {
    topic: definition.topic,
    type: definition.type,
    isTombstone: false,
    apply: (records, tx) =>
      handle(
        records.map((record) => ({
          ...parseRecord(definition, record),
          key: record.key,
          partition: record.partition,
          offset: record.offset,
        })),
        tx,
      ),
  };
}

/** Handles tombstones: the keys that were removed from the projection that carries this event. */
export function onRemoved<T>(
  definition: EventDefinition<T>,
  handle: (keys: readonly string[], tx: pg.PoolClient) => Promise<void>,
): RecordHandler {
  return {
    topic: definition.topic,
    type: definition.type,
    isTombstone: true,
    apply: (records, tx) =>
      handle(
        records.map((record) => record.key),
        tx,
      ),
  };
}

export interface EventConsumerOptions {
  /** Name of the consumer group, usually the service. A topic is read by one group of a service only: the inbox knows one offset for each partition. */
  readonly group: string;
  readonly bus: EventBus;
  readonly database: Pick<Database, 'sqlTransaction'>;
  readonly logger: Logger;
  readonly handlers: readonly RecordHandler[];
  /** Most records in one transaction; default 500. */
  readonly maxBatch?: number | undefined;
  /**
   * The effects may be repeated and overtaken without harm. Then no offset decides about them: every record that is delivered is
   * handled, also below the kept offset, as after the topic was recreated. Default false.
   */
  readonly areEffectsIdempotent?: boolean | undefined;
}

/**
 * Reads topics as a member of a group. Effect and position commit in one transaction; records that the position covers are
 * skipped, so a redelivery (a crash, a rebalance) changes nothing. A record that breaks its contract goes to `<group>.dead`;
 * records of types that no handler names are ignored. Any other error: the batch is redelivered with exponential back-off.
 *
 * The position is an offset together with the time of the newest handled record, which identifies the log: a record below the
 * offset that the bus took later than that time was never handled, so the topic was recreated or restored and its offsets
 * started from 0. It is handled, and the position follows the new log. After a restored backup the records between are
 * redelivered too: effects have to be safe to repeat (absolute values with a revision, or event ids as a key). A group whose
 * effects are (`areEffectsIdempotent`) skips nothing at all.
 */
export class EventConsumer {
  readonly #options: EventConsumerOptions;
  #subscription: Subscription | undefined;

  constructor(options: EventConsumerOptions) {
    this.#options = options;
  }

  /** Resolves when the group was joined or is being joined; a bus that is away is tried for again by the bus itself. */
  async start(): Promise<Subscription> {
    const { bus, group, handlers, maxBatch } = this.#options;
    this.#subscription = await bus.subscribe({
      group,
      topics: [...new Set(handlers.map((handler) => handler.topic))],
      handle: (batch) => this.handle(batch),
      ...(maxBatch === undefined ? {} : { maxBatch }),
    });
    return this.#subscription;
  }

  /** Finishes the batch in hand and leaves the group. */
  async close(): Promise<void> {
    await this.#subscription?.close();
  }

  /** Applies the effect of one batch, exactly once. @throws PoisonRecordError for the first record that breaks its contract */
  async handle(batch: RecordBatch): Promise<void> {
    await this.#options.database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      const position = await lockPosition(tx, batch);
      const fresh = this.#options.areEffectsIdempotent ? batch.records : await this.#unhandled(batch, position);
      const last = fresh.at(-1);
      if (last === undefined) {
        this.#options.logger.debug(
          { topic: batch.topic, partition: batch.partition, records: batch.records.length },
          'redelivered records that were handled before',
        );
        return;
      }
      for (const { handler, records } of this.#runs(fresh)) await handler.apply(records, tx);
      const newestMs = fresh.reduce((max, record) => Math.max(max, record.timestampMs), position.newestMs ?? 0);
      await tx.query('update inbox_offsets set next_offset = $3, newest_ms = $4 where topic = $1 and partition = $2', [
        batch.topic,
        batch.partition,
        last.offset + 1,
        newestMs,
      ]);
    });
  }

  /** The records of a batch that were not handled yet: those at or above the position, and those of a log that started again. */
  async #unhandled(batch: RecordBatch, position: Position): Promise<readonly BusRecord[]> {
    const { nextOffset, newestMs } = position;
    const fresh = batch.records.filter((record) => record.offset >= nextOffset || (newestMs !== null && record.timestampMs > newestMs));
    const isNewer = fresh.some((record) => record.offset < nextOffset);
    // The clock cannot tell where it was set back, or where an older version stored no time. An end below the position always can.
    const endOffset = fresh.length === batch.records.length ? null : await this.#endOffset(batch);
    const isShorter = endOffset !== null && endOffset < nextOffset;
    if (!isNewer && !isShorter) return fresh;
    const { topic, partition } = batch;
    this.#options.logger.error(
      { group: this.#options.group, topic, partition, storedOffset: nextOffset, offset: batch.records[0].offset, endOffset },
      'the topic started again from a lower offset (recreated or restored): reading it from there, nothing is skipped',
    );
    return isShorter ? batch.records : fresh;
  }

  async #endOffset({ topic, partition }: RecordBatch): Promise<number> {
    const lag = await this.#options.bus.lag(this.#options.group, [topic]);
    return lag.find((one) => one.partition === partition)?.endOffset ?? 0;
  }

  /** Neighbours that one handler takes, in order; what no handler names is left out. */
  #runs(records: readonly BusRecord[]): { readonly handler: RecordHandler; readonly records: BusRecord[] }[] {
    const runs: { readonly handler: RecordHandler; readonly records: BusRecord[] }[] = [];
    for (const record of records) {
      const handler = this.#handlerOf(record);
      if (handler === undefined) continue;
      const current = runs.at(-1);
      if (current?.handler === handler) current.records.push(record);
      else runs.push({ handler, records: [record] });
    }
    return runs;
  }

  #handlerOf(record: BusRecord): RecordHandler | undefined {
    const isTombstone = record.value === null;
    // A tombstone of a foreign client may carry no type: it is for whoever reads the topic's tombstones.
    const type = isTombstone ? record.headers[EVENT_TYPE_HEADER] : eventTypeOf(record);
    return this.#options.handlers.find(
      (handler) =>
        handler.topic === record.topic &&
        handler.isTombstone === isTombstone &&
        (handler.type === type || (isTombstone && type === undefined)),
    );
  }
}

/** How far a partition was handled. */
interface Position {
  /** Offset of the first record that was not handled. */
  readonly nextOffset: number;
  /** When the bus took the newest handled record, in milliseconds since the epoch; null: nothing was handled, or an older version did not store it. */
  readonly newestMs: number | null;
}

/** The partition's position, locked until the transaction ends: a member that lost the partition waits and then sees what was done. */
async function lockPosition(tx: pg.PoolClient, batch: RecordBatch): Promise<Position> {
  const { rows } = await tx.query<{ next_offset: string; newest_ms: string | null }>(LOCK_POSITION, [batch.topic, batch.partition]);
  const row = rows[0];
  return { nextOffset: Number(row?.next_offset ?? 0), newestMs: row?.newest_ms == null ? null : Number(row.newest_ms) };
}

/** The update changes nothing but takes the row's lock and returns it, where `do nothing` would return no row. */
const LOCK_POSITION = `insert into inbox_offsets (topic, partition, next_offset) values ($1, $2, 0)
                       on conflict (topic, partition) do update set next_offset = inbox_offsets.next_offset
                       returning next_offset::text, newest_ms::text`;

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
 * Reads topics as a member of a group. Effect and offset commit in one transaction; records below the kept offset are
 * passed over, so a delivery that is repeated (a crash, a rebalance) changes nothing, unless `areEffectsIdempotent` makes the
 * effects see to that themselves. A record that breaks its contract
 * goes to `<group>.dead`; records of types that no handler names are ignored. Any other error: the batch comes again.
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

  /** The effect of one batch, exactly once. @throws PoisonRecordError for the first record that breaks its contract */
  async handle(batch: RecordBatch): Promise<void> {
    await this.#options.database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      const nextOffset = await lockOffset(tx, batch);
      const fresh = this.#options.areEffectsIdempotent ? batch.records : batch.records.filter((record) => record.offset >= nextOffset);
      if (fresh.length < batch.records.length) await this.#checkLog(batch, nextOffset);
      const last = fresh.at(-1);
      if (last === undefined) {
        this.#options.logger.debug(
          { topic: batch.topic, partition: batch.partition, records: batch.records.length },
          'a delivery that was handled before',
        );
        return;
      }
      for (const { handler, records } of this.#runs(fresh)) await handler.apply(records, tx);
      await tx.query('update inbox_offsets set next_offset = $3 where topic = $1 and partition = $2', [
        batch.topic,
        batch.partition,
        last.offset + 1,
      ]);
    });
  }

  /**
   * Records that were handled before are ordinary. But when the bus was exchanged (another server, an older backup), its
   * offsets start anew, and passing over them would lose what they carry.
   */
  async #checkLog({ topic, partition }: RecordBatch, nextOffset: number): Promise<void> {
    const lag = await this.#options.bus.lag(this.#options.group, [topic]);
    const endOffset = lag.find((one) => one.partition === partition)?.endOffset ?? 0;
    if (nextOffset <= endOffset) return;
    throw new Error(
      `the inbox stands at offset ${nextOffset} of ${topic}/${partition}, but the log ends at ${endOffset}: it is not the log that was read before. ` +
        `If the bus was exchanged on purpose, delete the row from inbox_offsets`,
    );
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

/** The partition's offset, locked until the transaction ends: a member that lost the partition waits and then sees what was done. */
async function lockOffset(tx: pg.PoolClient, batch: RecordBatch): Promise<number> {
  const { rows } = await tx.query<{ next_offset: string }>(LOCK_OFFSET, [batch.topic, batch.partition]);
  return Number(rows[0]?.next_offset ?? 0);
}

/** The update changes nothing but takes the row's lock and returns it, where `do nothing` would return no row. */
const LOCK_OFFSET = `insert into inbox_offsets (topic, partition, next_offset) values ($1, $2, 0)
                     on conflict (topic, partition) do update set next_offset = inbox_offsets.next_offset
                     returning next_offset::text`;

import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { usageRecorded } from '@weir/contracts';
import type { Clock, Ids } from '@weir/kernel';
import {
  eventTypeOf,
  parseRecord,
  PoisonRecordError,
  type BusRecord,
  type EventBus,
  type RecordBatch,
  type Subscription,
} from '@weir/platform/bus';
import { CLOCK, EVENT_BUS, IDS, LOGGER, METRICS, SERVICE, type ServiceIdentity } from '@weir/platform/service';
import { Counter, currentTraceparent, type Logger, type Registry } from '@weir/platform/telemetry';
import { hourlyTotalsOf, ledgerEntryOf, refusal, withoutRepetitions, type LedgerEntry } from './ledger-entry.ts';
import { LedgerStore } from './ledger.store.ts';

/** The consumer group; its dead letters go to `metering.dead`. */
export const METERING_GROUP = 'metering';

/** Reads `inference.usage` into the ledger. */
@Injectable()
export class LedgerConsumer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #ledger: Pick<LedgerStore, 'record'>;
  readonly #bus: Pick<EventBus, 'subscribe'>;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #source: string;
  readonly #calls: Counter<'outcome'>;
  #subscription: Subscription | undefined;

  constructor(
    @Inject(LedgerStore) ledger: Pick<LedgerStore, 'record'>,
    @Inject(EVENT_BUS) bus: Pick<EventBus, 'subscribe'>,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
    @Inject(SERVICE) service: ServiceIdentity,
    @Inject(METRICS) metrics: Registry,
  ) {
    this.#ledger = ledger;
    this.#bus = bus;
    this.#logger = logger;
    this.#clock = clock;
    this.#ids = ids;
    this.#source = service.instanceId;
    this.#calls = new Counter({
      name: 'weir_metering_calls_total',
      help: 'Calls that were read from inference.usage: recorded now, or repeated (in the ledger already).',
      labelNames: ['outcome'],
      registers: [metrics],
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#subscription = await this.#bus.subscribe({
      group: METERING_GROUP,
      topics: [usageRecorded.topic],
      handle: (batch) => this.handle(batch),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#subscription?.close();
  }

  /**
   * Records a batch exactly once, however often it is delivered.
   *
   * @throws PoisonRecordError for the first record that can never be recorded
   */
  async handle(batch: RecordBatch): Promise<void> {
    try {
      await this.#record(batch);
    } catch (error) {
      if (!isDataException(error)) throw error;
      await this.#recordOneByOne(batch, error);
    }
  }

  async #record(batch: RecordBatch): Promise<void> {
    const sent = batch.records.flatMap((record) => entryOf(record) ?? []);
    const entries = withoutRepetitions(sent);
    const recorded = await this.#ledger.record(
      { topic: batch.topic, partition: batch.partition, nextOffset: (batch.records.at(-1) ?? batch.records[0]).offset + 1, entries },
      {
        eventIds: Array.from({ length: hourlyTotalsOf(entries) }, () => this.#ids.next()),
        source: this.#source,
        occurredAt: new Date(this.#clock.now()).toISOString(),
        traceparent: currentTraceparent() ?? null,
      },
    );
    this.#calls.inc({ outcome: 'recorded' }, recorded);
    this.#calls.inc({ outcome: 'repeated' }, sent.length - recorded);
  }

  /** PostgreSQL refused a value and does not say of which record: without this one record would stop its partition for ever. */
  async #recordOneByOne(batch: RecordBatch, cause: unknown): Promise<void> {
    this.#logger.warn(
      { err: cause, topic: batch.topic, partition: batch.partition, records: batch.records.length },
      'a value in a batch of usage cannot be stored; looking for it',
    );
    for (const record of batch.records) {
      try {
        await this.#record({ ...batch, records: [record] });
      } catch (error) {
        throw isDataException(error) ? new PoisonRecordError(record, 'a value cannot be stored', { cause: error }) : error;
      }
    }
  }
}

/** The entry for a record; null for a record that is not a call. */
function entryOf(record: BusRecord): LedgerEntry | null {
  if (eventTypeOf(record) !== usageRecorded.type) return null;
  const event = parseRecord(usageRecorded, record);
  const reason = refusal(event);
  if (reason !== null) throw new PoisonRecordError(record, reason);
  return ledgerEntryOf(event);
}

/** SQLSTATE class 22: the value itself is what PostgreSQL will not take. */
function isDataException(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('22');
}

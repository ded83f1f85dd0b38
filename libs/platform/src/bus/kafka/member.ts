import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { BackOff, REPLAY_BACK_OFF } from '../back-off.ts';
import { deliver } from '../delivery.ts';
import type { BusRecord, PoisonRecordError, SubscribeOptions, Subscription } from '../event-bus.ts';
import { CLOSE_TIMEOUT_MS, DEFAULT_MAX_BATCH, MAX_CONCURRENT_BATCHES } from '../limits.ts';
import { within } from '../within.ts';
import { ConsumerLoop } from './consumer-loop.ts';
import { toBusRecord } from './records.ts';

/** Heartbeats in a session: two may fail before a member counts as dead. */
const HEARTBEATS_PER_SESSION = 3;

export interface KafkaMemberOptions {
  readonly kafka: Kafka;
  readonly logger: Logger;
  readonly sessionTimeoutMs: number;
  readonly subscribe: SubscribeOptions;
  readonly bury: (poison: PoisonRecordError) => Promise<void>;
}

/** A partition while the member owns it. */
interface PartitionState {
  readonly backOff: BackOff;
  readonly putAside: Set<number>;
  /** The handler in hand. The client may fetch the same records again while it runs, after a rebalance. */
  inHand: Promise<void>;
  resume: NodeJS.Timeout | undefined;
}

/** A member of a group on Kafka's own group protocol, with offsets committed by hand. */
export class KafkaMember implements Subscription {
  readonly joined: Promise<void>;
  private readonly options: KafkaMemberOptions;
  private readonly loop: ConsumerLoop;
  private readonly closing = new AbortController();
  private readonly partitions = new Map<string, PartitionState>();
  private consumer: Consumer | null = null;
  /** Changes with each rebalance; what began in an earlier one may not commit in a later one. */
  private generation = new AbortController();
  private assigned = new Set<string>();
  private resolveJoined: () => void = () => undefined;

  constructor(options: KafkaMemberOptions) {
    this.options = options;
    this.joined = new Promise((resolve) => {
      this.resolveJoined = resolve;
    });
    const { kafka, logger, sessionTimeoutMs, subscribe } = options;
    this.loop = new ConsumerLoop({
      kafka,
      logger: logger.child({ group: subscribe.group }),
      topics: subscribe.topics,
      consumer: {
        groupId: subscribe.group,
        sessionTimeout: sessionTimeoutMs,
        heartbeatInterval: sessionTimeoutMs / HEARTBEATS_PER_SESSION,
      },
      run: {
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: MAX_CONCURRENT_BATCHES,
        eachBatch: (payload) => this.onFetched(payload),
      },
      onConsumer: (consumer) => this.attach(consumer),
    });
  }

  async close(): Promise<void> {
    this.closing.abort();
    for (const partition of this.partitions.values()) clearTimeout(partition.resume);
    this.resolveJoined();
    const closed = this.loop.close().then(() => true);
    if (!(await within(CLOSE_TIMEOUT_MS, closed, () => false)))
      this.options.logger.error({ group: this.options.subscribe.group }, 'a handler did not end in time; its batch comes again elsewhere');
  }

  private attach(consumer: Consumer): void {
    this.consumer = consumer;
    this.newGeneration([]);
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.newGeneration(
        Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) => partitions.map((partition) => placeOf(topic, partition))),
      );
      this.resolveJoined();
    });
  }

  private newGeneration(assigned: readonly string[]): void {
    this.generation.abort();
    this.generation = new AbortController();
    this.assigned = new Set(assigned);
  }

  /** Never throws but for errors of the client itself, which it understands: any other error would end the consumer. */
  private async onFetched(payload: EachBatchPayload): Promise<void> {
    const place = placeOf(payload.batch.topic, payload.batch.partition);
    const generation = this.generation.signal;
    const partition = this.partitionAt(place);
    const previous = partition.inHand;
    const handled = previous.then(() => this.handle(payload, partition, place, generation));
    partition.inHand = handled.catch(() => undefined);
    await handled;
  }

  private async handle(payload: EachBatchPayload, partition: PartitionState, place: string, generation: AbortSignal): Promise<void> {
    const { batch } = payload;
    const maxBatch = this.options.subscribe.maxBatch ?? DEFAULT_MAX_BATCH;
    for (let at = 0; at < batch.messages.length; at += maxBatch) {
      // The client may have fetched this before a rebalance that gave the partition to another member.
      if (generation.aborted || !this.assigned.has(place) || this.closing.signal.aborted || payload.isStale()) return;
      const messages = batch.messages.slice(at, at + maxBatch);
      const [first, ...rest] = messages.map((message) => toBusRecord(batch.topic, batch.partition, message));
      if (first === undefined) return;
      try {
        await this.deliver([first, ...rest], payload, partition, generation);
      } catch (error) {
        this.replayLater(error, payload, partition, first);
        return;
      }
      if (generation.aborted) return;
      const last = at + maxBatch >= batch.messages.length ? Number(batch.lastOffset()) : (rest.at(-1) ?? first).offset;
      // Straight to the group: the consumer's own commit does nothing, and says nothing, once the consumer is stopping.
      await payload.commitOffsetsIfNecessary({
        topics: [{ topic: batch.topic, partitions: [{ partition: batch.partition, offset: String(last + 1) }] }],
      });
      payload.resolveOffset(String(last));
      partition.putAside.clear();
      partition.backOff.reset();
    }
  }

  private async deliver(
    records: [BusRecord, ...BusRecord[]],
    payload: EachBatchPayload,
    partition: PartitionState,
    generation: AbortSignal,
  ): Promise<void> {
    const { topic, partition: number } = payload.batch;
    const rebalance = new AbortController();
    // The client sends no heartbeat while a handler works; without one the member would count as dead.
    const heartbeat = async (): Promise<void> => {
      try {
        await payload.heartbeat();
      } catch (error) {
        this.options.logger.debug({ err: error, topic, partition: number }, 'the group is rebalancing while a batch is in hand');
        rebalance.abort();
      }
    };
    const timer = setInterval(() => void heartbeat(), this.options.sessionTimeoutMs / HEARTBEATS_PER_SESSION);
    try {
      await deliver({
        batch: { topic, partition: number, records },
        context: { signal: AbortSignal.any([this.closing.signal, rebalance.signal, generation]), heartbeat },
        handle: (batch, context) => this.options.subscribe.handle(batch, context),
        putAside: partition.putAside,
        bury: this.options.bury,
      });
    } finally {
      clearInterval(timer);
    }
  }

  /** Stops reading this partition for a while, and this one only; its next read begins with the records that failed. */
  private replayLater(error: unknown, payload: EachBatchPayload, partition: PartitionState, first: BusRecord): void {
    const { topic, partition: number, offset } = first;
    if (this.closing.signal.aborted) return;
    this.options.logger.error(
      { err: error, group: this.options.subscribe.group, topic, partition: number, offset },
      'a batch failed; it comes again',
    );
    const consumer = this.consumer;
    const resume = payload.pause();
    clearTimeout(partition.resume);
    partition.resume = setTimeout(() => {
      // A consumer that has been replaced meanwhile knows nothing of the pause.
      if (consumer === this.consumer && !this.closing.signal.aborted) resume();
    }, partition.backOff.nextMs());
  }

  private partitionAt(place: string): PartitionState {
    const known = this.partitions.get(place);
    if (known !== undefined) return known;
    const partition: PartitionState = {
      backOff: new BackOff(REPLAY_BACK_OFF),
      putAside: new Set(),
      inHand: Promise.resolve(),
      resume: undefined,
    };
    this.partitions.set(place, partition);
    return partition;
  }
}

function placeOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

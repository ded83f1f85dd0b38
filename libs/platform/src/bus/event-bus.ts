import type { TopicDefinition } from '@weir/contracts';

/** A record to write. */
export interface NewRecord {
  /** Decides the partition, and the order: records of one key are read as they were sent. */
  readonly key: string;
  /** UTF-8 text; null is a tombstone, which removes the key from a projection. At most 1 MiB. */
  readonly value: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A record as it was read. */
export interface BusRecord {
  readonly topic: string;
  readonly partition: number;
  /** Position in the partition; grows, may have gaps. */
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** When the bus took it, in milliseconds since the epoch. */
  readonly timestampMs: number;
}

/** Records of one partition, in order. */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly [BusRecord, ...BusRecord[]];
}

export interface BatchContext {
  /** Aborted when the partition is being taken away or the subscription closes: stop early, the rest comes again elsewhere. */
  readonly signal: AbortSignal;
  /** Tells the bus that the work goes on; call it in work that takes more than a few seconds. */
  heartbeat(): Promise<void>;
}

/**
 * Thrown by a handler for a record that can never be handled (it does not parse, it breaks its contract).
 * The bus writes the record to `<group>.dead` with the reason, and goes on behind it.
 */
export class PoisonRecordError extends Error {
  readonly record: BusRecord;
  /** Goes into the dead letter: names what is wrong, holds no payload. */
  readonly reason: string;
  constructor(record: BusRecord, reason: string, options?: ErrorOptions) {
    super(`record ${record.topic}/${record.partition}@${record.offset} cannot be handled: ${reason}`, options);
    this.name = 'PoisonRecordError';
    this.record = record;
    this.reason = reason;
  }
}

export interface SubscribeOptions {
  /** Members of a group share the partitions of its topics among them. Its dead letters go to `<group>.dead`. */
  readonly group: string;
  readonly topics: readonly string[];
  /**
   * Handles records of one partition; batches of one partition never overlap. When it resolves, the offset is committed.
   * A `PoisonRecordError` dead-letters its record, and the batch is handed over again without it.
   * Any other error: the same records come again after a back-off, for ever, and no later record of that partition is read meanwhile.
   * Delivery is at least once; the effect is made exactly once by the inbox (see `../database`).
   */
  handle(batch: RecordBatch, context: BatchContext): Promise<void>;
  /** Most records handed over at once; default 500. */
  readonly maxBatch?: number;
}

export interface Subscription {
  /** Resolves when the member has joined and has its share of the partitions. */
  readonly joined: Promise<void>;
  /** Finishes the batches in hand, commits, leaves the group. */
  close(): Promise<void>;
}

export interface FollowOptions {
  readonly topics: readonly string[];
  /** Called for every record, from the oldest kept one on, in order per partition. Must not throw. */
  apply(record: BusRecord): void;
}

/** Reads whole topics, without a group, and then what is added: how a process keeps a projection in memory. */
export interface Follower {
  /** Resolves when everything that was in the topics at the start has been applied. */
  readonly caughtUp: Promise<void>;
  /** Is the follower connected and reading now? False while the bus is away; what was applied stays. */
  isLive(): boolean;
  close(): Promise<void>;
}

export interface SendOptions {
  /** Rejects with `service.unavailable` after this long; the records may still have been written. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Lag of a group in one partition. */
export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly committedOffset: number;
  readonly endOffset: number;
}

/**
 * The event bus port: a log of keyed records in partitions, with consumer groups and compaction.
 * Two implementations pass one conformance suite: `embedded` (PostgreSQL) and `kafka`.
 */
export interface EventBus {
  /**
   * Creates the topics that are missing and that this service may create; safe to race. Existing topics are kept, and differences are
   * logged as warnings.
   */
  ensureTopics(topics: readonly TopicDefinition[]): Promise<void>;
  /**
   * Appends records; resolves when they are durable, in the order given for each key. Sends that overlap have no order
   * between them: await one before the next of the same key.
   * After a rejection some may have been written: send again with the same event ids. A send that was given up never
   * appears behind a later one of the same process.
   *
   * @throws service.unavailable  the bus did not take them in time
   * @throws request.too_large    a value is over 1 MiB, a key over 1 KiB, or the headers are over 16 KiB
   * @throws request.invalid      a text holds a NUL character or half of a surrogate pair
   * @throws internal.error       the topic does not exist, or the service may not write to it
   */
  send(topic: string, records: readonly NewRecord[], options?: SendOptions): Promise<void>;
  /** Becomes a member of a group. Does not wait for the bus: see `joined`. A member that loses the bus joins again by itself. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Follows topics. Does not wait for the bus: see `caughtUp`. While the bus is away it keeps its place, and then goes on by itself. */
  follow(options: FollowOptions): Promise<Follower>;
  /** How far a group is behind, for readiness, metrics and tests. Rejects while the bus is away. */
  lag(group: string, topics: readonly string[]): Promise<readonly PartitionLag[]>;
  /** Can the bus be written and read now? Answers within two seconds. */
  isHealthy(): Promise<boolean>;
  /** Closes subscriptions and followers, then connections. */
  close(): Promise<void>;
}

import { randomUUID } from 'node:crypto';
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { pause } from '../back-off.ts';
import type { Follower, FollowOptions } from '../event-bus.ts';
import { ConsumerLoop } from './consumer-loop.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import { toBusRecord } from './records.ts';

/** A follower sends a heartbeat with its fetches; it counts as live while one was answered within three of these. */
const HEARTBEAT_MS = 1_000;
const LIVE_WINDOW_MS = 3 * HEARTBEAT_MS;
const SESSION_TIMEOUT_MS = 10_000;
/** How often the ends are asked for while they are not known, or not reached. */
const ENDS_POLL_MS = 250;

interface Position {
  readonly topic: string;
  readonly partition: number;
  nextOffset: number;
}

/**
 * Reads whole topics as the only member of a group of its own, which never commits: a broker forgets it when it is gone.
 * Where it stands it keeps itself, so that a new consumer, which begins at the beginning, does not take it back in time.
 */
export class KafkaFollower implements Follower {
  readonly caughtUp: Promise<void>;
  private readonly admin: KafkaAdmin;
  private readonly logger: Logger;
  private readonly options: FollowOptions;
  private readonly positions = new Map<string, Position>();
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  private readonly groupId: string;
  private loop: ConsumerLoop | null = null;
  private resolveCaughtUp: () => void = () => undefined;
  private lastAnswerMs = -Infinity;

  constructor(options: {
    readonly kafka: Kafka;
    readonly admin: KafkaAdmin;
    readonly clientId: string;
    readonly logger: Logger;
    readonly follow: FollowOptions;
  }) {
    this.admin = options.admin;
    this.logger = options.logger;
    this.options = options.follow;
    this.groupId = `follow-${options.clientId}-${randomUUID()}`;
    this.caughtUp = new Promise((resolve) => {
      this.resolveCaughtUp = resolve;
    });
    this.running = this.start(options.kafka);
  }

  isLive(): boolean {
    return !this.closing.signal.aborted && performance.now() - this.lastAnswerMs < LIVE_WINDOW_MS;
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
    await this.loop?.close();
  }

  private async start(kafka: Kafka): Promise<void> {
    const ends = await this.ends();
    if (ends === null) return;
    this.loop = new ConsumerLoop({
      kafka,
      logger: this.logger,
      topics: this.options.topics,
      consumer: { groupId: this.groupId, sessionTimeout: SESSION_TIMEOUT_MS, heartbeatInterval: HEARTBEAT_MS },
      run: { autoCommit: false, eachBatchAutoResolve: false, eachBatch: (payload) => this.onFetched(payload) },
      onConsumer: (consumer) => this.attach(consumer),
      onRunning: (consumer) => this.seek(consumer),
    });
    while (!this.closing.signal.aborted && !(await this.hasReached(ends))) await pause(ENDS_POLL_MS, this.closing.signal);
    if (!this.closing.signal.aborted) this.resolveCaughtUp();
  }

  /** Where the topics end now; waits until all exist and the brokers answer. Null when it is closed meanwhile. */
  private async ends(): Promise<Map<string, number> | null> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      const ends = new Map<string, number>();
      try {
        for (const topic of this.options.topics) {
          if ((await this.admin.partitionCount(topic)) === null) break;
          for (const { partition, endOffset } of await this.admin.ranges(topic)) ends.set(placeOf(topic, partition), endOffset);
        }
        if (this.options.topics.every((topic) => ends.has(placeOf(topic, 0)))) return ends;
      } catch (error) {
        if (!signal.aborted) this.logger.warn({ err: error }, 'the ends of followed topics are not known; trying again');
      }
      await pause(ENDS_POLL_MS, signal);
    }
    return null;
  }

  /** Has everything below the ends been applied, or removed by retention or compaction before it was read? */
  private async hasReached(ends: ReadonlyMap<string, number>): Promise<boolean> {
    const isOpen = (place: string, end: number): boolean => (this.positions.get(place)?.nextOffset ?? 0) < end;
    if ([...ends].every(([place, end]) => !isOpen(place, end))) return true;
    try {
      for (const topic of this.options.topics) {
        for (const { partition, beginOffset } of await this.admin.ranges(topic)) this.advance(topic, partition, beginOffset);
      }
    } catch (error) {
      this.logger.debug({ err: error }, 'the beginnings of followed topics are not known; trying again');
    }
    return [...ends].every(([place, end]) => !isOpen(place, end));
  }

  private attach(consumer: Consumer): void {
    const answered = (): void => {
      this.lastAnswerMs = performance.now();
    };
    consumer.on(consumer.events.HEARTBEAT, answered);
    consumer.on(consumer.events.GROUP_JOIN, answered);
    // Also told for fetches whose records were all left out (control records, gaps of compaction), which `eachBatch` never sees.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      answered();
      this.advance(payload.topic, payload.partition, Number(payload.lastOffset) + 1);
    });
  }

  private seek(consumer: Consumer): void {
    for (const { topic, partition, nextOffset } of this.positions.values()) consumer.seek({ topic, partition, offset: String(nextOffset) });
  }

  private async onFetched(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { topic, partition } = batch;
    const position = this.positionOf(topic, partition);
    for (const message of batch.messages) {
      if (this.closing.signal.aborted) return;
      const record = toBusRecord(topic, partition, message);
      // After a rebalance or with a new consumer the client begins at the beginning again.
      if (record.offset < position.nextOffset) continue;
      this.apply(record);
      position.nextOffset = record.offset + 1;
    }
    payload.resolveOffset(batch.lastOffset());
  }

  private apply(record: Parameters<FollowOptions['apply']>[0]): void {
    try {
      this.options.apply(record);
    } catch (error) {
      const { topic, partition, offset } = record;
      this.logger.error({ err: error, topic, partition, offset }, 'a follower failed on a record and goes on behind it');
    }
  }

  private advance(topic: string, partition: number, nextOffset: number): void {
    const position = this.positionOf(topic, partition);
    position.nextOffset = Math.max(position.nextOffset, nextOffset);
  }

  private positionOf(topic: string, partition: number): Position {
    const place = placeOf(topic, partition);
    const known = this.positions.get(place);
    if (known !== undefined) return known;
    const position = { topic, partition, nextOffset: 0 };
    this.positions.set(place, position);
    return position;
  }
}

function placeOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

import type { TopicDefinition } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import type { Admin, IResourceConfigEntry, ITopicConfig } from 'kafkajs';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import type { PartitionLag } from '../event-bus.ts';
import { MESSAGE_MAX_BYTES } from '../record-limits.ts';
import { within } from '../within.ts';
import { kafkaClient, SHORT_RETRY } from './kafka-client.ts';
import type { KafkaBusConfig } from './kafka-config.ts';

/** How long `ensureTopics` waits for brokers that are starting. */
const ENSURE_TIMEOUT_MS = 60_000;
/** Within which `isHealthy` answers. */
const HEALTH_TIMEOUT_MS = 2_000;
/** A tombstone is kept this long, so that a follower that was cut off for less still sees it. */
const TOMBSTONE_GRACE_MS = 86_400_000;
/** Compaction starts behind the segment that is written; an hour bounds how much a projection's log grows. */
const PROJECTION_SEGMENT_MS = 3_600_000;
/** A projection is compacted when a tenth of it is superseded: followers read all of it at each start. */
const PROJECTION_DIRTY_RATIO = 0.1;
/** Copies of each partition unless the settings say more. */
const DEFAULT_REPLICATION_FACTOR = 1;

/** Where a partition begins and ends. `endOffset` is that of the next record. */
export interface PartitionRange {
  readonly partition: number;
  readonly beginOffset: number;
  readonly endOffset: number;
}

/** Topics, ends and lags. Connects at its first use. */
export class KafkaAdmin {
  private readonly admin: Admin;
  private readonly logger: Logger;
  private readonly replicationFactor: number;
  private readonly partitionCounts = new Map<string, number>();
  private readonly closing = new AbortController();
  private connected: Promise<void> | null = null;

  constructor(config: KafkaBusConfig, options: { readonly clientId: string; readonly logger: Logger }) {
    this.admin = kafkaClient(config, { ...options, retry: SHORT_RETRY }).admin({ retry: SHORT_RETRY });
    this.logger = options.logger;
    this.replicationFactor = config.replicationFactor ?? DEFAULT_REPLICATION_FACTOR;
  }

  /** Aborted when the bus closes. */
  get closed(): AbortSignal {
    return this.closing.signal;
  }

  /**
   * Creates the topics that are missing, and waits until each has its partitions.
   *
   * @throws service.unavailable  the brokers did not answer for a minute
   * @throws internal.error       a topic exists with another number of partitions
   */
  async ensureTopics(definitions: readonly TopicDefinition[]): Promise<void> {
    const deadlineMs = performance.now() + ENSURE_TIMEOUT_MS;
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    for (;;) {
      try {
        await this.createMissing(definitions);
        return;
      } catch (error) {
        if (error instanceof AppError) throw error;
        if (performance.now() > deadlineMs || this.closed.aborted) {
          throw new AppError('service.unavailable', { message: 'The event bus does not answer.', cause: error });
        }
        this.logger.warn({ err: error }, 'the topics could not be created; trying again');
        await pause(backOff.nextMs(), this.closed);
      }
    }
  }

  /** How many partitions a topic has, or null when it does not exist. Never changes, so it is asked once. */
  async partitionCount(topic: string): Promise<number | null> {
    const known = this.partitionCounts.get(topic);
    if (known !== undefined) return known;
    await this.connect();
    if (!(await this.admin.listTopics()).includes(topic)) return null;
    const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] });
    const count = topics[0]?.partitions.length ?? 0;
    if (count === 0) return null;
    this.partitionCounts.set(topic, count);
    return count;
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    await this.connect();
    const partitions = await this.admin.fetchTopicOffsets(topic);
    return partitions.map(({ partition, low, high }) => ({ partition, beginOffset: Number(low), endOffset: Number(high) }));
  }

  async lag(group: string, topics: readonly string[]): Promise<PartitionLag[]> {
    await this.connect();
    const committed = await this.admin.fetchOffsets({ groupId: group, topics: [...topics] });
    const lags: PartitionLag[] = [];
    for (const topic of topics) {
      const offsets = new Map(committed.find((one) => one.topic === topic)?.partitions.map((one) => [one.partition, Number(one.offset)]));
      for (const { partition, beginOffset, endOffset } of await this.ranges(topic)) {
        lags.push({ topic, partition, committedOffset: Math.max(beginOffset, offsets.get(partition) ?? -1), endOffset });
      }
    }
    return lags.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition);
  }

  async isHealthy(): Promise<boolean> {
    const answered = this.connect()
      .then(() => this.admin.describeCluster())
      .then(
        (cluster) => cluster.brokers.length > 0 && cluster.controller !== null,
        () => false,
      );
    return within(HEALTH_TIMEOUT_MS, answered, () => false);
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.connected?.catch(() => undefined);
    await this.admin.disconnect();
  }

  private connect(): Promise<void> {
    this.connected ??= this.admin.connect().catch((error: unknown) => {
      this.connected = null;
      throw error;
    });
    return this.connected;
  }

  private async createMissing(definitions: readonly TopicDefinition[]): Promise<void> {
    await this.connect();
    const existing = new Set(await this.admin.listTopics());
    const missing = definitions.filter((definition) => !existing.has(definition.name));
    if (missing.length > 0) {
      await this.admin.createTopics({
        topics: missing.map((definition) => topicConfig(definition, this.replicationFactor)),
        waitForLeaders: true,
      });
    }
    for (const { name, partitions } of definitions) {
      const count = await this.partitionCount(name);
      if (count === null) throw new Error(`the topic ${name} is not there yet`);
      if (count !== partitions) {
        throw new AppError('internal.error', {
          message: `The topic ${name} has ${count} partitions and its definition ${partitions}; the number is fixed for the life of a topic.`,
        });
      }
    }
  }
}

function topicConfig(definition: TopicDefinition, replicationFactor: number): ITopicConfig {
  const configEntries: IResourceConfigEntry[] = [{ name: 'max.message.bytes', value: String(MESSAGE_MAX_BYTES) }];
  if (definition.kind === 'projection') {
    configEntries.push(
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'delete.retention.ms', value: String(TOMBSTONE_GRACE_MS) },
      { name: 'segment.ms', value: String(PROJECTION_SEGMENT_MS) },
      { name: 'min.cleanable.dirty.ratio', value: String(PROJECTION_DIRTY_RATIO) },
    );
  } else {
    configEntries.push({ name: 'cleanup.policy', value: 'delete' });
    if (definition.retentionMs !== undefined) configEntries.push({ name: 'retention.ms', value: String(definition.retentionMs) });
  }
  return { topic: definition.name, numPartitions: definition.partitions, replicationFactor, configEntries };
}

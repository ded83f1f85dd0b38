import type { TopicDefinition } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import type { Admin } from 'kafkajs';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import type { PartitionLag } from '../event-bus.ts';
import { within } from '../within.ts';
import { kafkaClient, SHORT_RETRY } from './kafka-client.ts';
import { topicSettingsOf, type KafkaBusConfig } from './kafka-config.ts';
import { KafkaTopics } from './kafka-topics.ts';

/** How long `ensureTopics` waits for brokers that are starting. */
const ENSURE_TIMEOUT_MS = 60_000;
/** Within which `isHealthy` answers. */
const HEALTH_TIMEOUT_MS = 2_000;
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
  private readonly topics: KafkaTopics;
  private readonly partitionCounts = new Map<string, number>();
  private readonly closing = new AbortController();
  private connected: Promise<void> | null = null;

  constructor(config: KafkaBusConfig, options: { readonly clientId: string; readonly logger: Logger }) {
    this.admin = kafkaClient(config, { ...options, retry: SHORT_RETRY }).admin({ retry: SHORT_RETRY });
    this.logger = options.logger;
    this.topics = new KafkaTopics(this.admin, topicSettingsOf(config), options.logger);
  }

  /** Aborted when the bus closes. */
  get closed(): AbortSignal {
    return this.closing.signal;
  }

  /**
   * Creates the topics that are missing, and warns of existing ones that differ from their definitions.
   *
   * @throws service.unavailable  the brokers did not answer for a minute
   */
  async ensureTopics(definitions: readonly TopicDefinition[]): Promise<void> {
    const deadlineMs = performance.now() + ENSURE_TIMEOUT_MS;
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    for (;;) {
      try {
        await this.connect();
        await this.topics.ensure(definitions);
        return;
      } catch (error) {
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
    const count = await this.topics.partitionCount(topic);
    if (count === null) return null;
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
}

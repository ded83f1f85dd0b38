import type { TopicDefinition } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { Partitioners, type Kafka, type Producer } from 'kafkajs';
import type { Logger } from 'pino';
import { burialOn } from '../dead-letters.ts';
import type {
  EventBus,
  Follower,
  FollowOptions,
  NewRecord,
  PartitionLag,
  SendOptions,
  SubscribeOptions,
  Subscription,
} from '../event-bus.ts';
import { DEFAULT_SEND_TIMEOUT_MS, DEFAULT_SESSION_TIMEOUT_MS } from '../limits.ts';
import { OpenReaders } from '../open-readers.ts';
import { byPartition } from '../partitioner.ts';
import { checkRecord } from '../record-limits.ts';
import { withTrace } from '../trace-context.ts';
import { within } from '../within.ts';
import { KafkaFollower } from './follower.ts';
import { KafkaAdmin } from './kafka-admin.ts';
import { kafkaClient, LONG_RETRY, SHORT_RETRY } from './kafka-client.ts';
import type { KafkaBusConfig } from './kafka-config.ts';
import { KafkaMember } from './member.ts';
import { PartitionSender } from './partition-sender.ts';

/** The event bus on Apache Kafka. */
export class KafkaEventBus implements EventBus {
  private readonly config: KafkaBusConfig;
  private readonly clientId: string;
  private readonly logger: Logger;
  private readonly admin: KafkaAdmin;
  private readonly consumers: Kafka;
  private readonly producer: Producer;
  private readonly senders = new Map<string, PartitionSender>();
  private readonly readers = new OpenReaders();
  private connected: Promise<Producer> | null = null;
  private closed: Promise<void> | null = null;

  constructor(config: KafkaBusConfig, options: { readonly logger: Logger; readonly clientId: string }) {
    this.config = config;
    this.clientId = options.clientId;
    this.logger = options.logger;
    this.admin = new KafkaAdmin(config, options);
    this.consumers = kafkaClient(config, { ...options, retry: LONG_RETRY });
    this.producer = kafkaClient(config, { ...options, retry: SHORT_RETRY }).producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      // Each attempt is one request; the senders repeat it, so that only they decide what is still wanted.
      retry: { ...SHORT_RETRY, retries: 0 },
    });
  }

  ensureTopics(topics: readonly TopicDefinition[]): Promise<void> {
    return this.admin.ensureTopics(topics);
  }

  async send(topic: string, records: readonly NewRecord[], options: SendOptions = {}): Promise<void> {
    for (const record of records) checkRecord(record);
    const deadlineMs = performance.now() + (options.timeoutMs ?? DEFAULT_SEND_TIMEOUT_MS);
    const partitions = await this.partitionCount(topic, deadlineMs);
    const groups = byPartition(records.map(withTrace), partitions);
    const sent = await Promise.allSettled([...groups].map(([partition, group]) => this.sender(topic, partition).send(group, deadlineMs)));
    for (const outcome of sent) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    const member = new KafkaMember({
      kafka: this.consumers,
      logger: this.logger,
      sessionTimeoutMs: this.config.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS,
      subscribe: options,
      bury: burialOn(this, options.group, this.logger),
    });
    return { joined: member.joined, close: this.readers.add(member) };
  }

  async follow(options: FollowOptions): Promise<Follower> {
    const follower = new KafkaFollower({
      kafka: this.consumers,
      admin: this.admin,
      clientId: this.clientId,
      logger: this.logger,
      follow: options,
    });
    return { caughtUp: follower.caughtUp, isLive: () => follower.isLive(), close: this.readers.add(follower) };
  }

  lag(group: string, topics: readonly string[]): Promise<readonly PartitionLag[]> {
    return this.admin.lag(group, topics);
  }

  isHealthy(): Promise<boolean> {
    return this.admin.isHealthy();
  }

  close(): Promise<void> {
    this.closed ??= this.closeAll();
    return this.closed;
  }

  private async closeAll(): Promise<void> {
    await this.readers.closeAll();
    await this.admin.close();
    await this.connected?.catch(() => undefined);
    await this.producer.disconnect();
  }

  private sender(topic: string, partition: number): PartitionSender {
    const place = `${topic}/${partition}`;
    const known = this.senders.get(place);
    if (known !== undefined) return known;
    const sender = new PartitionSender({ producer: () => this.connect(), topic, partition, closed: this.admin.closed });
    this.senders.set(place, sender);
    return sender;
  }

  private connect(): Promise<Producer> {
    this.connected ??= this.producer.connect().then(
      () => this.producer,
      (error: unknown) => {
        this.connected = null;
        throw error;
      },
    );
    return this.connected;
  }

  private async partitionCount(topic: string, deadlineMs: number): Promise<number> {
    let partitions: number | null;
    try {
      partitions = await within(Math.max(0, deadlineMs - performance.now()), this.admin.partitionCount(topic), noAnswer);
    } catch (error) {
      throw new AppError('service.unavailable', { message: 'The event bus does not answer.', cause: error });
    }
    if (partitions === null)
      throw new AppError('internal.error', { message: `The topic ${topic} does not exist; ensureTopics creates it.` });
    return partitions;
  }
}

function noAnswer(): never {
  throw new Error('the brokers did not answer in time');
}

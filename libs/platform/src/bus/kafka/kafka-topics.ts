import type { TopicDefinition } from '@weir/contracts';
import type { Admin, IResourceConfigEntry } from 'kafkajs';
import type { Logger } from 'pino';
import { MESSAGE_MAX_BYTES } from '../record-limits.ts';
import type { KafkaTopicSettings } from './kafka-config.ts';

/** Tombstones are kept this long, so that a follower that was disconnected for less still reads them. */
const TOMBSTONE_GRACE_MS = 86_400_000;
/** Only closed segments are compacted; an hour bounds how much a projection's log grows. */
const PROJECTION_SEGMENT_MS = 3_600_000;
/** A projection is compacted when a tenth of it is superseded: followers read all of it at each start. */
const PROJECTION_DIRTY_RATIO = 0.1;
/** With three copies, two in sync: one broker may be lost or restarted, and an acknowledged record is on another disk. */
const SAFE_COPIES = 3;
const SAFE_IN_SYNC = 2;
/** Kafka's numbers of resource types; the client's enumeration is not among its exports for ES modules. */
const TOPIC_RESOURCE = 2;
const BROKER_RESOURCE = 4;
/** Value of `replicationFactor` that means the cluster's `default.replication.factor`. */
const CLUSTER_DEFAULT = -1;

/** A topic as the cluster has it. `leaderless`: it exists, but a partition has no leader now, so nothing else is known of it. */
type TopicState =
  | { readonly kind: 'missing' }
  | { readonly kind: 'leaderless' }
  | { readonly kind: 'present'; readonly partitions: number; readonly copies: number };

/** Creates topics and compares existing ones with their definitions. */
export class KafkaTopics {
  readonly #admin: Admin;
  readonly #settings: KafkaTopicSettings;
  readonly #logger: Logger;

  constructor(admin: Admin, settings: KafkaTopicSettings, logger: Logger) {
    this.#admin = admin;
    this.#settings = settings;
    this.#logger = logger;
  }

  /**
   * Creates the topics that are missing. Topics that exist are left as they are; differences from the definitions and settings are
   * logged as warnings. A topic with a leaderless partition (one of its brokers is down) exists.
   *
   * @throws Error  the cluster cannot be reached or refused to create a topic; worth a retry
   */
  async ensure(definitions: readonly TopicDefinition[]): Promise<void> {
    const states = await this.#states(definitions.map(({ name }) => name));
    const missing = definitions.filter(({ name }) => states.get(name)?.kind === 'missing');
    if (missing.length > 0) await this.#create(missing);
    const existing = definitions.filter((definition) => !missing.includes(definition));
    if (existing.length > 0) await this.#check(existing, states);
  }

  /** Number of partitions, or null when the topic does not exist. @throws Error while a partition has no leader */
  async partitionCount(topic: string): Promise<number | null> {
    const state = await this.#state(topic);
    if (state.kind === 'leaderless') throw new Error(`a partition of the topic ${topic} has no leader now`);
    return state.kind === 'missing' ? null : state.partitions;
  }

  async #create(definitions: readonly TopicDefinition[]): Promise<void> {
    const minInSync = await this.#minInSyncReplicas();
    try {
      await this.#admin.createTopics({
        topics: definitions.map((definition) => ({
          topic: definition.name,
          numPartitions: definition.partitions,
          replicationFactor: this.#settings.replicationFactor,
          configEntries: configOf(definition, minInSync),
        })),
        waitForLeaders: true,
      });
    } catch (error) {
      throw new Error(`the topics ${definitions.map(({ name }) => name).join(', ')} could not be created: ${reasonsOf(error)}`, {
        cause: error,
      });
    }
  }

  async #states(topics: readonly string[]): Promise<Map<string, TopicState>> {
    try {
      const { topics: described } = await this.#admin.fetchTopicMetadata({ topics: [...topics] });
      return new Map(described.map(({ name, partitions }) => [name, presentState(partitions)]));
    } catch (error) {
      if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION' && typeOf(error) !== 'LEADER_NOT_AVAILABLE') throw error;
      // The client fails for all topics when one of them has an error.
      return new Map(await Promise.all(topics.map(async (topic) => [topic, await this.#state(topic)] as const)));
    }
  }

  async #state(topic: string): Promise<TopicState> {
    try {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] });
      const partitions = topics.find(({ name }) => name === topic)?.partitions ?? [];
      return partitions.length === 0 ? { kind: 'missing' } : presentState(partitions);
    } catch (error) {
      switch (typeOf(error)) {
        case 'UNKNOWN_TOPIC_OR_PARTITION':
          return { kind: 'missing' };
        case 'LEADER_NOT_AVAILABLE':
          return { kind: 'leaderless' };
        default:
          throw error;
      }
    }
  }

  /** Of topics that are created: the setting; without it 2 where they get three copies, and the cluster's default (null) elsewhere. */
  async #minInSyncReplicas(): Promise<number | null> {
    const { replicationFactor, minInSyncReplicas } = this.#settings;
    if (minInSyncReplicas > 0) return minInSyncReplicas;
    const copies = replicationFactor === CLUSTER_DEFAULT ? await this.#defaultCopies() : replicationFactor;
    return copies >= SAFE_COPIES ? SAFE_IN_SYNC : null;
  }

  /** The cluster's `default.replication.factor`; 1 where it may not be read. */
  async #defaultCopies(): Promise<number> {
    try {
      const { controller, brokers } = await this.#admin.describeCluster();
      const name = 'default.replication.factor';
      const { resources } = await this.#admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: BROKER_RESOURCE, name: String(controller ?? brokers[0]?.nodeId), configNames: [name] }],
      });
      return Number(resources[0]?.configEntries.find((entry) => entry.configName === name)?.configValue ?? 1);
    } catch (error) {
      this.#logger.warn({ err: error }, 'default.replication.factor cannot be read: topics are created without min.insync.replicas');
      return 1;
    }
  }

  async #check(definitions: readonly TopicDefinition[], states: ReadonlyMap<string, TopicState>): Promise<void> {
    try {
      const { brokers } = await this.#admin.describeCluster();
      const { resources } = await this.#admin.describeConfigs({
        includeSynonyms: false,
        resources: definitions.map(({ name }) => ({ type: TOPIC_RESOURCE, name })),
      });
      for (const definition of definitions) {
        const entries = resources.find(({ resourceName }) => resourceName === definition.name)?.configEntries ?? [];
        const config = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
        const state = states.get(definition.name) ?? { kind: 'missing' };
        const differences = topicDifferences(definition, state, config, { ...this.#settings, brokers: brokers.length });
        if (differences.length > 0) this.#logger.warn({ topic: definition.name, differences }, 'a topic differs from its settings');
      }
    } catch (error) {
      const leaderless = definitions.filter(({ name }) => states.get(name)?.kind === 'leaderless').map(({ name }) => name);
      this.#logger.warn({ err: error, leaderless }, 'the settings of existing topics cannot be checked now');
    }
  }
}

/** How an existing topic differs from its definition and the settings, one sentence for each difference. */
function topicDifferences(
  definition: TopicDefinition,
  state: TopicState,
  config: ReadonlyMap<string, string>,
  wanted: KafkaTopicSettings & { readonly brokers: number },
): string[] {
  const differences: string[] = [];
  if (state.kind === 'present') {
    if (state.partitions !== definition.partitions)
      differences.push(`${state.partitions} partitions, configured ${definition.partitions}: the number is fixed for the life of a topic`);
    const leastCopies = wanted.replicationFactor > 0 ? wanted.replicationFactor : wanted.brokers >= SAFE_COPIES ? SAFE_COPIES : 1;
    if (state.copies < leastCopies)
      differences.push(`${state.copies} replicas, expected ${leastCopies}: the loss of a disk can lose acknowledged records`);
    const leastInSync = wanted.minInSyncReplicas > 0 ? wanted.minInSyncReplicas : state.copies >= SAFE_COPIES ? SAFE_IN_SYNC : 1;
    if (Number(config.get('min.insync.replicas') ?? leastInSync) < leastInSync)
      differences.push(`min.insync.replicas is ${config.get('min.insync.replicas')}, expected ${leastInSync}`);
  }
  for (const { name, value } of configOf(definition, null)) {
    const actual = config.get(name);
    if (actual !== undefined && actual !== value) differences.push(`${name} is ${actual}, configured ${value}`);
  }
  return differences;
}

function configOf(definition: TopicDefinition, minInSyncReplicas: number | null): IResourceConfigEntry[] {
  const entries: IResourceConfigEntry[] = [
    { name: 'max.message.bytes', value: String(MESSAGE_MAX_BYTES) },
    // Consumers compare times with that of the newest handled record; clocks of producers differ.
    { name: 'message.timestamp.type', value: 'LogAppendTime' },
  ];
  if (minInSyncReplicas !== null) entries.push({ name: 'min.insync.replicas', value: String(minInSyncReplicas) });
  if (definition.kind === 'projection') {
    entries.push(
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'delete.retention.ms', value: String(TOMBSTONE_GRACE_MS) },
      { name: 'segment.ms', value: String(PROJECTION_SEGMENT_MS) },
      { name: 'min.cleanable.dirty.ratio', value: String(PROJECTION_DIRTY_RATIO) },
    );
  } else {
    entries.push({ name: 'cleanup.policy', value: 'delete' });
    if (definition.retentionMs !== undefined) entries.push({ name: 'retention.ms', value: String(definition.retentionMs) });
  }
  return entries;
}

function presentState(partitions: readonly { readonly replicas: readonly number[] }[]): TopicState {
  return { kind: 'present', partitions: partitions.length, copies: Math.min(...partitions.map(({ replicas }) => replicas.length)) };
}

/** Kafka's name of an error; the client wraps one that lasted through its retries. */
function typeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'type' in error && typeof error.type === 'string' ? error.type : typeOf(error.cause);
}

/** Errors of the brokers, by topic, where the client wraps several in one. */
function reasonsOf(error: unknown): string {
  if (error instanceof Error && 'errors' in error && Array.isArray(error.errors)) {
    return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join(' ');
  }
  return error instanceof Error ? error.message : String(error);
}

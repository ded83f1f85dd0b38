/** Size classes of an installation: `small` up to about 1,000 answered calls a second, `medium` 10,000, `large` more. */
export const TOPIC_SIZES = ['small', 'medium', 'large'] as const;
export type TopicSize = (typeof TOPIC_SIZES)[number];

/** One stream of the bus. Topics are few and fixed; records are keyed, mostly by tenant. */
export interface TopicDefinition {
  readonly name: string;
  /** `projection`: compacted, the last value of each key is kept for ever. `fact`: append-only, kept for `retentionMs`. */
  readonly kind: 'projection' | 'fact';
  /** Fixed for the life of the topic: the key decides the partition. In an installation of the size class `small`. */
  readonly partitions: number;
  /** Where larger size classes need more: members of a group share the work by partitions. */
  readonly partitionsOf?: Readonly<Record<Exclude<TopicSize, 'small'>, number>>;
  /** Only for facts. */
  readonly retentionMs?: number;
  /** What the key is, for people. */
  readonly key: string;
  readonly writtenBy: readonly string[];
  readonly readBy: readonly string[];
}

const DAY_MS = 86_400_000;
/** Default retention of facts; `TopicSettings.retentionDays` overrides it. */
const FACT_RETENTION_MS = 30 * DAY_MS;

/** Every topic of the platform (DESIGN: few, fixed, keyed by tenant). */
export const TOPICS = {
  'auth.tenants': {
    name: 'auth.tenants',
    kind: 'projection',
    partitions: 4,
    key: 'tenant',
    writtenBy: ['auth'],
    readBy: ['gateway', 'registry', 'billing'],
  },
  'auth.api-keys': {
    name: 'auth.api-keys',
    kind: 'projection',
    partitions: 4,
    key: 'key digest',
    writtenBy: ['auth'],
    readBy: ['gateway'],
  },
  'auth.sessions': { name: 'auth.sessions', kind: 'projection', partitions: 4, key: 'session', writtenBy: ['auth'], readBy: ['gateway'] },
  'auth.signing-keys': {
    name: 'auth.signing-keys',
    kind: 'projection',
    partitions: 1,
    key: 'key id',
    writtenBy: ['auth'],
    readBy: ['gateway'],
  },
  'registry.deployments': {
    name: 'registry.deployments',
    kind: 'projection',
    partitions: 4,
    key: 'model and alias',
    writtenBy: ['registry'],
    readBy: ['gateway'],
  },
  'registry.placements': {
    name: 'registry.placements',
    kind: 'projection',
    partitions: 4,
    key: 'worker and version',
    writtenBy: ['registry'],
    readBy: ['worker'],
  },
  'billing.entitlements': {
    name: 'billing.entitlements',
    kind: 'projection',
    partitions: 4,
    key: 'tenant',
    writtenBy: ['billing'],
    readBy: ['gateway'],
  },
  'billing.prices': {
    name: 'billing.prices',
    kind: 'projection',
    partitions: 1,
    key: 'price list',
    writtenBy: ['billing'],
    readBy: ['gateway'],
  },
  'billing.usage-mismatches': {
    name: 'billing.usage-mismatches',
    kind: 'projection',
    partitions: 1,
    key: 'tenant and period',
    writtenBy: ['billing'],
    readBy: ['metering'],
  },
  'inference.workers': {
    name: 'inference.workers',
    kind: 'projection',
    partitions: 1,
    key: 'worker',
    writtenBy: ['worker'],
    readBy: ['registry', 'gateway'],
  },
  'inference.usage': {
    name: 'inference.usage',
    kind: 'fact',
    partitions: 8,
    partitionsOf: { medium: 24, large: 64 },
    retentionMs: FACT_RETENTION_MS,
    key: 'tenant',
    writtenBy: ['gateway'],
    readBy: ['metering'],
  },
  'metering.usage-rolled': {
    name: 'metering.usage-rolled',
    kind: 'fact',
    partitions: 4,
    partitionsOf: { medium: 8, large: 16 },
    retentionMs: FACT_RETENTION_MS,
    key: 'tenant',
    writtenBy: ['metering'],
    readBy: ['billing'],
  },
  'metering.dead': {
    name: 'metering.dead',
    kind: 'fact',
    partitions: 1,
    retentionMs: 90 * DAY_MS,
    key: 'that of the record',
    writtenBy: ['metering'],
    readBy: [],
  },
  'billing.dead': {
    name: 'billing.dead',
    kind: 'fact',
    partitions: 1,
    retentionMs: 90 * DAY_MS,
    key: 'that of the record',
    writtenBy: ['billing'],
    readBy: [],
  },
} as const satisfies Record<string, TopicDefinition>;

export type TopicName = keyof typeof TOPICS;

export const ALL_TOPICS: readonly TopicDefinition[] = Object.values(TOPICS);

/** Settings of the topics of an installation. */
export interface TopicSettings {
  readonly size: TopicSize;
  /** How long facts other than dead letters are kept, in days. */
  readonly retentionDays: number;
}

/** The topics that a service writes or reads, with the installation's settings: those that it creates where they are missing. */
export function topicsOf(service: string, settings: TopicSettings): readonly TopicDefinition[] {
  return ALL_TOPICS.filter((topic) => topic.writtenBy.includes(service) || topic.readBy.includes(service)).map((topic) => ({
    ...topic,
    partitions: settings.size === 'small' ? topic.partitions : (topic.partitionsOf?.[settings.size] ?? topic.partitions),
    ...(topic.kind === 'fact' && !topic.name.endsWith('.dead') ? { retentionMs: settings.retentionDays * DAY_MS } : {}),
  }));
}

/** A right of a service on the bus. */
export interface BusGrant {
  /** The service, which is also the name of its role. */
  readonly role: string;
  readonly topic: string;
  readonly canWrite: boolean;
  readonly canRead: boolean;
}

/** Rights of each service on the bus: append to the topics that it writes and to its dead letters, read the topics that it reads. */
export function busGrants(topics: readonly TopicDefinition[]): readonly BusGrant[] {
  const services = [...new Set(topics.flatMap(({ writtenBy, readBy }) => [...writtenBy, ...readBy]))].sort();
  return services.flatMap((role) => {
    const written = new Set([...topics.filter(({ writtenBy }) => writtenBy.includes(role)).map(({ name }) => name), `${role}.dead`]);
    const read = new Set(topics.filter(({ readBy }) => readBy.includes(role)).map(({ name }) => name));
    return [...new Set([...written, ...read])].map((topic) => ({ role, topic, canWrite: written.has(topic), canRead: read.has(topic) }));
  });
}

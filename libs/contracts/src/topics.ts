/** One stream of the bus. Topics are few and fixed; records are keyed, mostly by tenant. */
export interface TopicDefinition {
  readonly name: string;
  /** `projection`: compacted, the last value of each key is kept for ever. `fact`: append-only, kept for `retentionMs`. */
  readonly kind: 'projection' | 'fact';
  /** Fixed for the life of the topic: the key decides the partition. */
  readonly partitions: number;
  /** Only for facts. */
  readonly retentionMs?: number;
  /** What the key is, for people. */
  readonly key: string;
  readonly writtenBy: readonly string[];
  readonly readBy: readonly string[];
}

const DAY_MS = 86_400_000;

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
    retentionMs: 30 * DAY_MS,
    key: 'tenant',
    writtenBy: ['gateway'],
    readBy: ['metering'],
  },
  'metering.usage-rolled': {
    name: 'metering.usage-rolled',
    kind: 'fact',
    partitions: 4,
    retentionMs: 30 * DAY_MS,
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

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { topicsOf } from '@weir/contracts';
import { createEventBus, type EventBus, type EventBusConfig } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { startKafka, type KafkaServer } from '@weir/testing';
import { ConfigResourceTypes, Kafka, logLevel, type Admin } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';

/** Topics of the service that handles money, with the default settings. */
const TOPICS = topicsOf('metering', { size: 'small', retentionDays: 30 });
const USAGE = 'inference.usage';

describe('on three Kafka brokers whose default is three copies', () => {
  let cluster: KafkaServer;
  let admin: Admin;
  const buses: EventBus[] = [];

  beforeAll(async () => {
    cluster = await startKafka(mkdtempSync(path.join(tmpdir(), 'weir-kafka-cluster-')), { brokers: 3 });
    admin = new Kafka({ brokers: [...cluster.brokers], clientId: 'spec', logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
  });
  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close();
  });
  afterAll(async () => {
    await admin?.disconnect();
    await cluster?.dispose();
  });

  function aBus(topics: Extract<EventBusConfig, { kind: 'kafka' }>['topics'] = {}): { bus: EventBus; warnings: string[] } {
    const warnings: string[] = [];
    const logger = createLogger({
      service: 'spec',
      instanceId: 'spec',
      level: 'warn',
      destination: { write: (line: string) => void warnings.push(line) },
    });
    const bus = createEventBus({ kind: 'kafka', brokers: cluster.brokers, topics }, { logger, clientId: 'spec' });
    buses.push(bus);
    return { bus, warnings };
  }

  const differencesIn = (warnings: readonly string[]): string[] => warnings.filter((line) => line.includes('differs from its settings'));

  test('topics get three copies of which two have to be in sync, and agree with their settings at the next start', async () => {
    await aBus().bus.ensureTopics(TOPICS);
    const { topics } = await admin.fetchTopicMetadata({ topics: TOPICS.map(({ name }) => name) });
    for (const { partitions } of topics) for (const { replicas } of partitions) expect(replicas).toHaveLength(3);
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [
        { type: ConfigResourceTypes.TOPIC, name: USAGE, configNames: ['min.insync.replicas', 'retention.ms', 'message.timestamp.type'] },
      ],
    });
    expect(Object.fromEntries(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? [])).toEqual({
      'min.insync.replicas': '2',
      'retention.ms': String(30 * 86_400_000),
      'message.timestamp.type': 'LogAppendTime',
    });
    const again = aBus();
    await again.bus.ensureTopics(TOPICS);
    expect(differencesIn(again.warnings)).toEqual([]);
  });

  test('a topic that differs from its settings is kept and named in a warning', async () => {
    const [topic] = topicsOf('registry', { size: 'small', retentionDays: 30 });
    if (topic === undefined) throw new Error('registry has no topic');
    await admin.createTopics({ topics: [{ topic: topic.name, numPartitions: 2, replicationFactor: 1 }], waitForLeaders: false });
    // Until each broker knows the topic.
    await eventually(async () => {
      const { bus, warnings } = aBus();
      await bus.ensureTopics([topic]);
      const [warning = ''] = differencesIn(warnings);
      for (const difference of ['2 partitions, configured 4', '1 replicas, expected 3', 'cleanup.policy is delete, configured compact'])
        expect(warning).toContain(difference);
      await bus.send(topic.name, [{ key: 'k', value: 'v' }]);
    }, 30_000);
  });

  test('a service starts, sends and reads while one broker is down, also where a topic has no leader then', async () => {
    // Each of its partitions has one copy; whichever broker stops, one of them loses its leader.
    const single = { name: 'spec.single-copy', kind: 'fact' as const, partitions: 6, key: 'k', writtenBy: [], readBy: [] };
    await aBus({ replicationFactor: 1 }).bus.ensureTopics([single]);
    await cluster.stop(1);
    try {
      const { bus, warnings } = aBus();
      await bus.ensureTopics([...TOPICS, single]);
      expect(warnings.filter((line) => line.includes('could not be created'))).toEqual([]);
      await bus.send(USAGE, [{ key: 'k', value: 'sent with two brokers' }], { timeoutMs: 60_000 });
      const values: (string | null)[] = [];
      const follower = await bus.follow({ topics: [USAGE], apply: ({ value }) => void values.push(value) });
      await follower.caughtUp;
      expect(values).toContain('sent with two brokers');
    } finally {
      await cluster.start(1);
    }
  });
});

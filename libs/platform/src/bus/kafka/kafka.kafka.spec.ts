import { ConfigResourceTypes, Kafka, logLevel, Partitioners } from 'kafkajs';
import { inject } from 'vitest';
import { describeEventBus } from '../conformance.ts';
import { eventually } from '../conformance/harness.ts';

declare module 'vitest' {
  interface ProvidedContext {
    kafkaBrokers: string;
    kafkaControlUrl: string;
  }
}

/** The least that a broker accepts. */
const SESSION_TIMEOUT_MS = 6_000;
const FILLER = 'filler';

describeEventBus('the Kafka bus', async () => {
  const brokers = inject('kafkaBrokers').split(',');
  const kafka = new Kafka({ brokers, clientId: 'conformance', logLevel: logLevel.NOTHING });
  return {
    config: { kind: 'kafka', brokers, sessionTimeoutMs: SESSION_TIMEOUT_MS },
    stopServer: () => control('stop'),
    startServer: () => control('start'),
    compact: (topic) => compact(kafka, topic),
    dispose: async () => undefined,
  };
});

async function control(command: 'stop' | 'start'): Promise<void> {
  const response = await fetch(`${inject('kafkaControlUrl')}/${command}`, { method: 'POST' });
  if (!response.ok) throw new Error(`the broker did not ${command}: ${await response.text()}`);
}

/**
 * Has the broker compact now: with segments that close at once and no grace. Only closed segments are compacted, so a
 * filler (a tombstone, which no projection shows) is written behind them until each key is left once.
 */
async function compact(kafka: Kafka, topic: string): Promise<void> {
  const admin = kafka.admin();
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await admin.connect();
  await producer.connect();
  const settings = {
    'cleanup.policy': 'compact',
    'segment.ms': '1',
    'min.cleanable.dirty.ratio': '0',
    'delete.retention.ms': '0',
    'max.message.bytes': '2097152',
  };
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })) },
    ],
  });
  const partitions = await admin.fetchTopicOffsets(topic);
  await eventually('it is compacted', async () => {
    await producer.send({ topic, messages: partitions.map(({ partition }) => ({ key: FILLER, value: null, partition })) });
    const keys = await keysOf(kafka, topic);
    return new Set(keys).size === keys.length;
  });
  await producer.disconnect();
  await admin.disconnect();
}

/** The keys of all records of a topic but the fillers. */
async function keysOf(kafka: Kafka, topic: string): Promise<string[]> {
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]));
  await admin.disconnect();
  const keys: string[] = [];
  const consumer = kafka.consumer({ groupId: `compaction ${Math.random()}`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    const eachMessage = async ({
      partition,
      message,
    }: {
      readonly partition: number;
      readonly message: { readonly key: Buffer | null; readonly offset: string };
    }) => {
      const key = message.key?.toString() ?? '';
      if (key !== FILLER) keys.push(key);
      if (Number(message.offset) + 1 >= (ends.get(partition) ?? 0)) ends.delete(partition);
      if (ends.size === 0) resolve();
    };
    consumer.run({ autoCommit: false, eachMessage }).catch(reject);
  });
  await consumer.disconnect();
  return keys;
}

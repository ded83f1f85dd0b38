import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { kafkaJars, kafkaSettingsFolder } from './kafka-files.ts';

/** Ready in 3 to 8 s on a free machine. */
const READY_TIMEOUT_MS = 90_000;
const READY_POLL_MS = 100;
/** SIGTERM takes less than a second; after this long it is killed. */
const STOP_TIMEOUT_MS = 15_000;
/** Any 22 characters of base64: the id of the cluster, which lives as long as the tests. */
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qk';
/** The last words of a broker that does not come up. */
const LOG_TAIL_CHARACTERS = 4_000;
/** Small, quickly started and of little use of the processor: the machine runs the tests too. */
const JAVA_OPTIONS = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

export interface KafkaServer {
  /** `host:port` of each broker, the same after a restart. */
  readonly brokers: readonly string[];
  /** Starts one broker again, or all. */
  start(broker?: number): Promise<void>;
  /** As an operator would: clients lose their connections, and the data stays. @param broker  index in `brokers`; all without it */
  stop(broker?: number): Promise<void>;
  /** Stops it and removes its data. */
  dispose(): Promise<void>;
}

interface Node {
  readonly address: string;
  readonly command: readonly string[];
  process: ChildProcess | null;
}

/** A real Apache Kafka with one broker or three on free ports of 127.0.0.1, formatted and started. It ends with this process. */
export async function startKafka(folder: string, options: { readonly brokers?: 1 | 3 } = {}): Promise<KafkaServer> {
  const jars = path.join(await kafkaJars(), '*');
  const count = options.brokers ?? 1;
  const ports = await freePorts(2 * count);
  const voters = Array.from({ length: count }, (_, n) => `${n + 1}@127.0.0.1:${ports[count + n]}`).join(',');
  const nodes: Node[] = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const brokerPort = ports[n] ?? 0;
      const own = path.join(folder, String(n + 1));
      const settings = path.join(own, 'server.properties');
      mkdirSync(own, { recursive: true });
      const values = { nodeId: n + 1, brokerPort, controllerPort: ports[count + n] ?? 0, voters, dataDirectory: path.join(own, 'data') };
      writeFileSync(settings, settingsOf({ ...values, copies: count, inSync: count === 1 ? 1 : 2 }));
      await promisify(execFile)('java', ['-cp', jars, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', settings]);
      const log4j = `-Dlog4j2.configurationFile=${path.join(kafkaSettingsFolder, 'log4j2.xml')}`;
      return { address: `127.0.0.1:${brokerPort}`, command: [...JAVA_OPTIONS, log4j, '-cp', jars, 'kafka.Kafka', settings], process: null };
    }),
  );
  const chosen = (broker: number | undefined): Node[] => nodes.filter((_, n) => broker === undefined || n === broker);
  const stop = async (broker?: number): Promise<void> => {
    const running = chosen(broker).flatMap((node) => node.process ?? []);
    for (const node of chosen(broker)) node.process = null;
    await Promise.all(running.map((server) => ended(server)));
  };
  const start = async (broker?: number): Promise<void> => {
    const running = nodes.filter((node) => node.process !== null || chosen(broker).includes(node)).length;
    await Promise.all(
      chosen(broker).map(async (node) => {
        node.process = await launch(node.command, node.address, running);
      }),
    );
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    brokers: nodes.map((node) => node.address),
    start,
    stop,
    dispose: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(command: readonly string[], broker: string, expectedBrokers: number): Promise<ChildProcess> {
  // Held by a process that ends Kafka when our end of its input closes, however we ended.
  const server = spawn(process.execPath, [path.join(import.meta.dirname, 'java-holder.mjs'), ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  const listen = (chunk: Buffer): void => {
    log = (log + chunk.toString()).slice(-LOG_TAIL_CHARACTERS);
  };
  server.stdout.on('data', listen);
  server.stderr.on('data', listen);
  try {
    await ready(broker, expectedBrokers, () => server.exitCode !== null);
  } catch (error) {
    await ended(server);
    throw new Error(`Kafka did not start. Its last words:\n${log}`, { cause: error });
  }
  return server;
}

/** Waits until the broker knows all that run and a controller. */
async function ready(broker: string, expectedBrokers: number, hasExited: () => boolean): Promise<void> {
  const kafka = new Kafka({ brokers: [broker], clientId: 'start', logLevel: logLevel.NOTHING, retry: { retries: 0 } });
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const admin = kafka.admin();
    try {
      await admin.connect();
      const cluster = await admin.describeCluster();
      if (cluster.brokers.length >= expectedBrokers && cluster.controller !== null) return;
      if (performance.now() > deadlineMs) throw new Error(`it sees ${cluster.brokers.length} of ${expectedBrokers} brokers`);
    } catch (error) {
      if (hasExited() || performance.now() > deadlineMs) throw error;
    } finally {
      await admin.disconnect();
    }
    await delay(READY_POLL_MS);
  }
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill('SIGTERM');
  const timer = setTimeout(() => server.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

function settingsOf(values: Readonly<Record<string, string | number>>): string {
  return readFileSync(path.join(kafkaSettingsFolder, 'server.properties'), 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\$\{(\w+)\}/g, (_all, name: string) => String(values[name]));
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

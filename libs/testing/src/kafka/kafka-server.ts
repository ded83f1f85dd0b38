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
  /** `host:port`, the same after a restart. */
  readonly broker: string;
  start(): Promise<void>;
  /** As an operator would: clients lose their connections, what was written stays. */
  stop(): Promise<void>;
  /** Stops it and removes its data. */
  dispose(): Promise<void>;
}

/** A real Apache Kafka with one broker on free ports of 127.0.0.1, formatted and started. It ends with this process. */
export async function startKafka(folder: string): Promise<KafkaServer> {
  const jars = path.join(await kafkaJars(), '*');
  const [brokerPort, controllerPort] = await freePorts();
  const settings = path.join(folder, 'server.properties');
  mkdirSync(folder, { recursive: true });
  writeFileSync(settings, settingsOf({ brokerPort, controllerPort, dataDirectory: path.join(folder, 'data') }));
  await promisify(execFile)('java', ['-cp', jars, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', settings]);

  const broker = `127.0.0.1:${brokerPort}`;
  const command = [
    ...JAVA_OPTIONS,
    `-Dlog4j2.configurationFile=${path.join(kafkaSettingsFolder, 'log4j2.xml')}`,
    '-cp',
    jars,
    'kafka.Kafka',
    settings,
  ];
  let server: ChildProcess | null = null;
  const stop = async (): Promise<void> => {
    if (server !== null) await ended(server);
    server = null;
  };
  const start = async (): Promise<void> => {
    server = await launch(command, broker);
  };
  await start();
  return {
    broker,
    start,
    stop,
    dispose: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(command: readonly string[], broker: string): Promise<ChildProcess> {
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
    await ready(broker, () => server.exitCode !== null);
  } catch (error) {
    await ended(server);
    throw new Error(`Kafka did not start. Its last words:\n${log}`, { cause: error });
  }
  return server;
}

/** Waits until the broker knows itself and a controller. */
async function ready(broker: string, hasExited: () => boolean): Promise<void> {
  const kafka = new Kafka({ brokers: [broker], clientId: 'start', logLevel: logLevel.NOTHING, retry: { retries: 0 } });
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const admin = kafka.admin();
    try {
      await admin.connect();
      const cluster = await admin.describeCluster();
      if (cluster.brokers.length === 1 && cluster.controller !== null) return;
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

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const;
  const [first, second] = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [first ?? 0, second ?? 0];
}

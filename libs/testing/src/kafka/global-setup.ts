import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startKafka } from './kafka-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of the brokers, `host:port`, with commas between them. */
    kafkaBrokers: string;
    /** `POST` to `<url>/stop` and `<url>/start` stops and starts the broker, for tests of what happens meanwhile. */
    kafkaControlUrl: string;
  }
}

/** One Kafka for the whole run: its start takes seconds. Tests use topics and groups of their own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const kafka = await startKafka(path.join(os.tmpdir(), `weir-kafka-${process.pid}`));
  const control = createServer((request, response) => {
    const work =
      request.url === '/stop' ? kafka.stop() : request.url === '/start' ? kafka.start() : Promise.reject(new Error('stop or start'));
    work.then(
      () => response.writeHead(204).end(),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  control.listen(0, '127.0.0.1');
  await once(control, 'listening');
  project.provide('kafkaBrokers', kafka.brokers.join(','));
  project.provide('kafkaControlUrl', `http://127.0.0.1:${(control.address() as AddressInfo).port}`);
  return async () => {
    control.closeAllConnections();
    control.close();
    await kafka.dispose();
  };
}

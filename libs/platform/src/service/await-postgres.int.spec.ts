import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { specDatabase, type SpecDatabase } from '../database/database.fixture.ts';
import { createLogger } from '../telemetry/index.ts';
import { awaitPostgres, type AwaitPostgresOptions } from './await-postgres.ts';

const WAIT = { timeout: 10_000 };
const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });

/** The address of the run's PostgreSQL on a port that refuses connections until `open`. */
class Outage {
  readonly #target: URL;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;

  constructor(url: string, port: number) {
    this.#target = new URL(url);
    this.#port = port;
  }

  get url(): string {
    const url = new URL(this.#target);
    url.port = String(this.#port);
    return url.href;
  }

  async end(): Promise<void> {
    this.#server = createServer((client) => {
      const upstream = connect(Number(this.#target.port), this.#target.hostname);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
      }
      client.pipe(upstream).pipe(client);
    }).listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }
}

describe('a service that is started while PostgreSQL is unreachable', () => {
  let database: SpecDatabase;
  let outage: Outage;
  let options: AwaitPostgresOptions;

  beforeAll(async () => {
    database = await specDatabase();
  });

  beforeEach(async () => {
    outage = new Outage(database.urlOf('bus'), await freePort());
    options = {
      url: outage.url,
      host: '127.0.0.1',
      port: await freePort(),
      logger,
    };
  });

  afterEach(() => {
    outage.close();
  });

  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${options.port}${path}`);

  it('is live and not ready, refuses calls with a code, and goes on when PostgreSQL answers, with its port free again', async () => {
    const waiting = awaitPostgres(options);
    await vi.waitFor(async () => expect((await get('/health/live')).status).toBe(200), WAIT);
    const ready = await get('/health/ready');
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'not ready', checks: { database: false } }]);
    const call = await get('/graphql');
    expect([call.status, await call.json()]).toMatchObject([503, { error: { code: 'service.starting' } }]);
    await outage.end();
    await waiting;
    await expect(get('/health/live')).rejects.toThrow('fetch failed');
  });

  it('ends its wait with the launcher that started it', async () => {
    const service = fork(new URL('./await-postgres-process.fixture.ts', import.meta.url), [options.url, String(options.port)], {
      execArgv: ['--conditions=@weir/source', '--disable-warning=ExperimentalWarning'],
      stdio: 'ignore',
    });
    const ended = once(service, 'exit');
    await vi.waitFor(async () => expect((await get('/health/live')).status).toBe(200), WAIT);
    service.disconnect();
    expect(await ended).toEqual([1, null]);
  });

  it('leaves a wrong password to the boot to report', async () => {
    const url = new URL(database.urlOf('bus'));
    url.password = 'wrong';
    await expect(awaitPostgres({ ...options, url: url.href })).resolves.toBeUndefined();
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removePostgres, startPostgres, type RunningPostgres } from '@weir/embedded-postgres';
import { pino } from 'pino';
import { withClient } from '../../database/connection.ts';
import { describeEventBus } from '../conformance.ts';
import { Housekeeping } from './housekeeping.ts';
import { Log } from './log.ts';
import { prepareLog } from './migrate.ts';

/** A session short enough that the death of a member is noticed soon, and long enough for a busy machine. */
const SESSION_TIMEOUT_MS = 3_000;

describeEventBus('the embedded bus, with the role of a service', async () => {
  // A server of its own: the suite stops it.
  const folder = await mkdtemp(path.join(tmpdir(), 'weir-bus-'));
  const start = (port?: number): Promise<RunningPostgres> =>
    startPostgres({ dataDirectory: path.join(folder, 'data'), durable: false, ...(port === undefined ? {} : { port }) });
  let postgres = await start();
  const url = postgres.adminUrl;
  await withClient({ connectionString: url }, async (client) => {
    await client.query(`create role bus_client; create role conformance login password 'conformance'; grant bus_client to conformance`);
    await prepareLog(client);
    // The suite's topics are not the contract's.
    await client.query(`insert into bus.topic_grant values ('conformance', '*', true, true)`);
  });
  const serviceUrl = new URL(url);
  Object.assign(serviceUrl, { username: 'conformance', password: 'conformance' });
  return {
    config: { kind: 'embedded', url: serviceUrl.href, sessionTimeoutMs: SESSION_TIMEOUT_MS },
    stopServer: () => postgres.stop(),
    startServer: async () => {
      postgres = await start(postgres.port);
    },
    compact: async () => {
      const logger = pino({ level: 'silent' });
      const log = new Log({ url, clientId: 'compaction', logger });
      await new Housekeeping(log, logger, { tombstoneGraceMs: 0 }).sweep();
      await log.close();
    },
    dispose: async () => {
      await postgres.stop();
      removePostgres(path.join(folder, 'data'));
      await rm(folder, { recursive: true, force: true });
    },
  };
});

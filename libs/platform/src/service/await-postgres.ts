import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { AppError } from '@weir/kernel';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../bus/back-off.ts';
import { connectionConfig, isConnectionError, withClient } from '../database/connection.ts';
import { errorBody, errorHeaders, httpStatusOf } from '../http/error-answers.ts';
import type { Logger } from '../telemetry/index.ts';

const STARTING_RETRY_MS = 1_000;

export interface AwaitPostgresOptions {
  /** Address without which the service cannot start. */
  readonly url: string;
  /** Where the service will listen. */
  readonly host: string;
  readonly port: number;
  readonly logger: Logger;
}

/**
 * Waits until PostgreSQL accepts connections, with back-off (at most 2 s) and without an end, so that a service
 * that is started during an outage of its database is up as soon as the outage is over. While it waits, its port answers
 * `/health/live` with 200, `/health/ready` with 503 and everything else with `service.starting`. An error that is none of the
 * connection, such as a wrong password, is left to the boot to report.
 *
 * @throws Error when the launcher that started this process ends meanwhile
 */
export async function awaitPostgres(options: AwaitPostgresOptions): Promise<void> {
  const { url, logger } = options;
  const abandoned = new AbortController();
  const abandon = (): void => abandoned.abort(new Error('the launcher ended before the database was reachable'));
  process.once('disconnect', abandon);
  let server: Server | undefined;
  try {
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    for (;;) {
      const error = await connectionErrorOf(url);
      if (error === null) break;
      if (server === undefined) {
        logger.warn({ err: error }, 'the database is unreachable: the service waits for it');
        server = await serveHealth(options);
      }
      await pause(backOff.nextMs(), abandoned.signal);
      abandoned.signal.throwIfAborted();
    }
    if (server !== undefined) logger.info('the database is reachable');
  } finally {
    process.off('disconnect', abandon);
    if (server !== undefined) await closed(server);
  }
}

/** Why no connection could be made, or null when one was. */
async function connectionErrorOf(url: string): Promise<unknown> {
  try {
    await withClient(connectionConfig({ url, schema: 'public', applicationName: 'weir boot' }), (client) => client.query('select 1'));
    return null;
  } catch (error) {
    return isConnectionError(error) ? error : null;
  }
}

async function serveHealth({ host, port }: AwaitPostgresOptions): Promise<Server> {
  const server = createServer(({ url }, response) => {
    if (url === '/health/live') answer(response, 200, { status: 'live' });
    else if (url === '/health/ready') answer(response, 503, { status: 'not ready', checks: { database: false } });
    else {
      const refusal = new AppError('service.starting', { retryAfterMs: STARTING_RETRY_MS });
      answer(response, httpStatusOf(refusal), errorBody(refusal), errorHeaders(refusal));
    }
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

function answer(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json; charset=utf-8', connection: 'close' });
  response.end(JSON.stringify(body));
}

async function closed(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

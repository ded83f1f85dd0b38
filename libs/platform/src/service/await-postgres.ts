import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { AppError } from '@weir/kernel';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../bus/back-off.ts';
import { connectionConfig, isConnectionError, withClient } from '../database/connection.ts';
import { errorBody, errorHeaders, httpStatusOf } from '../http/error-answers.ts';
import type { Logger } from '../telemetry/index.ts';

const STARTING_RETRY_MS = 1_000;

export interface AwaitPostgresOptions {
  /** Addresses without which the service cannot start. */
  readonly urls: readonly string[];
  /** Where the service will listen. */
  readonly host: string;
  readonly port: number;
  readonly applicationName: string;
  readonly logger: Logger;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/**
 * Waits until PostgreSQL accepts connections at each address, with back-off (at most 2 s) and without an end, so that a service
 * that is started during an outage of its database is up as soon as the outage is over. While it waits, its port answers
 * `/health/live` with 200, `/health/ready` with 503 and everything else with `service.starting`. An error that is none of the
 * connection, such as a wrong password, is left to the boot to report.
 *
 * @throws the reason of `signal` when it is aborted
 */
export async function awaitPostgres(options: AwaitPostgresOptions): Promise<void> {
  const { logger, signal } = options;
  let server: Server | undefined;
  try {
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    for (;;) {
      const error = await connectionErrorOf(options);
      if (error === null) break;
      if (server === undefined) {
        logger.warn({ err: error }, 'the database is unreachable: the service waits for it');
        server = await serveHealth(options);
      }
      await pause(backOff.nextMs(), signal);
      signal.throwIfAborted();
    }
    if (server !== undefined) logger.info('the database is reachable');
  } finally {
    if (server !== undefined) await closed(server);
  }
}

/** The connection error of the first address that does not answer, or null. */
async function connectionErrorOf({ urls, applicationName }: AwaitPostgresOptions): Promise<unknown> {
  for (const url of urls) {
    try {
      await withClient(connectionConfig({ url, schema: 'public', applicationName }), (client) => client.query('select 1'));
    } catch (error) {
      if (isConnectionError(error)) return error;
    }
  }
  return null;
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

import pg from 'pg';
import { AppError } from '@weir/kernel';

/** A statement that runs longer is cancelled by the server. */
export const STATEMENT_TIMEOUT_MS = 10_000;
/** A transaction that does nothing for this long is ended by the server; longer than any call that is made inside one. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;
/** How long a new connection, or a free one of a pool, is waited for. */
export const CONNECT_TIMEOUT_MS = 10_000;

export interface ConnectionOptions {
  /** Address with the role that connects. */
  readonly url: string;
  /** The schema that unqualified names mean. */
  readonly schema: string;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
}

/** The same bounds for every connection, whoever opens it. */
export function connectionConfig(options: ConnectionOptions): pg.ClientConfig {
  return {
    connectionString: options.url,
    application_name: options.applicationName,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    options: `-c search_path=${options.schema}`,
  };
}

/** Codes of Node's and Prisma's errors that mean: the server is not there, or the connection broke. */
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'P1001',
  'P1002',
  'P1008',
  'P1017',
  'P2024',
  'P2028',
]);
/** SQLSTATE classes and codes: connection exceptions, too many connections, an administrator's shutdown, a crash, a start that is not done. */
const CONNECTION_STATES = /^(08|53300|57P0[123]|25P03)/;
/** What `pg` and Prisma's adapter say without a code. */
const CONNECTION_MESSAGES =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|server has closed the connection|can't reach database server|connection timeout/i;

/** Kinds of the errors of Prisma's adapter that mean the same. */
const CONNECTION_KINDS = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
  'TransactionAlreadyClosed',
]);

/** Does the error mean that the database is away, rather than that the statement is wrong? */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError && error.errors.some(isConnectionError)) return true;
  if (isConnectionCode(textOf(error, 'code')) || CONNECTION_MESSAGES.test(error.message)) return true;
  const ofAdapter = partOf(partOf(error, 'meta'), 'driverAdapterError');
  return (
    isAdapterConnectionError(ofAdapter) || isAdapterConnectionError(error) || (error.cause !== undefined && isConnectionError(error.cause))
  );
}

/** Prisma wraps the adapter's error, which says in its cause what PostgreSQL or the socket said. */
function isAdapterConnectionError(error: unknown): boolean {
  const cause = partOf(error, 'cause');
  return CONNECTION_KINDS.has(textOf(cause, 'kind')) || isConnectionCode(textOf(cause, 'originalCode'));
}

function isConnectionCode(code: string): boolean {
  return CONNECTION_CODES.has(code) || CONNECTION_STATES.test(code);
}

function partOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function textOf(value: unknown, name: string): string {
  const text = partOf(value, name);
  return typeof text === 'string' ? text : '';
}

/**
 * SQLSTATEs, and Prisma's code, of statements that were right and may succeed the next time: they were cancelled because they
 * took too long, waited too long for a lock, or were chosen to end a deadlock or a conflict.
 */
const PASSING_STATES = new Set(['57014', '55P03', '40P01', '40001', 'P2034']);

/** Did the statement fail because of what else the server was doing? */
function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const causes = [error, partOf(error, 'cause'), partOf(partOf(partOf(error, 'meta'), 'driverAdapterError'), 'cause')];
  return causes.some((cause) => PASSING_STATES.has(textOf(cause, 'code')) || PASSING_STATES.has(textOf(cause, 'originalCode')));
}

/** Says `service.unavailable` where the database is away, or too busy for the statement; every other error stays as it is. */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof AppError) return error;
  if (isConnectionError(error)) return new AppError('service.unavailable', { message: 'The database does not answer.', cause: error });
  if (isPassing(error)) return new AppError('service.unavailable', { message: 'The database is too busy for this now.', cause: error });
  return error;
}

/** Runs `work` with a connection of its own and closes it. */
export async function withClient<T>(config: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(config);
  // A connection that breaks between two statements must not end the process; the next statement fails.
  let broken: Error | undefined;
  client.on('error', (error) => {
    broken = error;
  });
  await client.connect();
  try {
    return await work(client);
  } finally {
    if (broken === undefined) await client.end();
  }
}

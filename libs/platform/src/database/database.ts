import { PrismaPg } from '@prisma/adapter-pg';
import type { Logger } from '../telemetry/index.ts';
import pg from 'pg';
import { asUnavailable, connectionConfig, STATEMENT_TIMEOUT_MS } from './connection.ts';

/** The scope of work that is not about one tenant: sign-in, consumers, the operator. Rows of all tenants are seen. */
export const ACROSS_TENANTS: unique symbol = Symbol('weir.across-tenants');

/** Whose rows a transaction sees: a tenant's id, or `ACROSS_TENANTS`. */
export type TenantScope = string | typeof ACROSS_TENANTS;

/** A burst of requests waits this long for a connection; Prisma's own 2 s fail under load. */
const MAX_WAIT_MS = 10_000;
/** Well above the server's statement timeout: a transaction that Prisma gives up on is not atomic. */
const TRANSACTION_TIMEOUT_MS = STATEMENT_TIMEOUT_MS * 2;
/** Connections of each of the two pools. Two, so that a statement beside a transaction never waits for that transaction. */
const DEFAULT_POOL_SIZE = 8;

/** What this module needs of a generated Prisma client. */
export interface PrismaClientLike {
  // The callback's parameter is the generated client's own type, which this library cannot name.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  $transaction<R>(work: (tx: any) => Promise<R>, options?: { maxWait?: number; timeout?: number }): Promise<R>;
  $queryRawUnsafe<T = unknown>(query: string, ...values: unknown[]): PromiseLike<T>;
  $disconnect(): Promise<void>;
}

/** The client inside an interactive transaction. */
export type TransactionOf<Client> = Omit<Client, '$connect' | '$disconnect' | '$on' | '$transaction' | '$extends'>;

export interface DatabaseOptions<Client extends PrismaClientLike> {
  /** Address with the service's own role. */
  readonly url: string;
  /** The service's schema. */
  readonly schema: string;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** `(adapter) => new PrismaClient({ adapter })` */
  readonly createClient: (adapter: PrismaPg) => Client;
  readonly logger: Logger;
  /** Connections of each of the two pools (Prisma's and `sql`); default 8. */
  readonly poolSize?: number | undefined;
}

/** A service's own schema: Prisma for ordinary work in transactions, plain SQL for what has to be one statement. */
export class Database<Client extends PrismaClientLike = PrismaClientLike> {
  /** Plain connections with the service's role. No tenant is set on them: for tables without row-level security. */
  readonly sql: pg.Pool;
  readonly schema: string;
  readonly #client: Client;
  readonly #prismaPool: pg.Pool;
  readonly #committed = new Set<(tx: object) => void>();

  constructor(options: DatabaseOptions<Client>) {
    this.schema = options.schema;
    const newPool = (): pg.Pool => {
      const pool = new pg.Pool({ ...connectionConfig(options), max: options.poolSize ?? DEFAULT_POOL_SIZE, idleTimeoutMillis: 30_000 });
      // An idle connection that breaks (a restart of PostgreSQL) is replaced by the pool; without a listener it would end the process.
      const onError = (error: Error): void => options.logger.debug({ err: error }, 'a database connection broke');
      pool.on('error', onError);
      // A connection that is being handed out has no listener of the pool for a moment.
      pool.on('connect', (client) => client.on('error', onError));
      return pool;
    };
    this.sql = newPool();
    this.#prismaPool = newPool();
    this.#client = options.createClient(new PrismaPg(this.#prismaPool, { schema: options.schema }));
  }

  /**
   * Runs `work` in one transaction that sees and writes only the rows of `scope`.
   * Everything that is done through `tx` commits together when `work` resolves.
   *
   * @throws service.unavailable  the database is away; whether the transaction committed is not known if it broke during the commit
   */
  async transaction<T>(scope: TenantScope, work: (tx: TransactionOf<Client>) => Promise<T>): Promise<T> {
    let used: object | undefined;
    try {
      const result = await this.#client.$transaction(
        async (tx: TransactionOf<Client> & Pick<PrismaClientLike, '$queryRawUnsafe'>) => {
          used = tx;
          await tx.$queryRawUnsafe(SET_SCOPE, settingOf(scope));
          return work(tx);
        },
        { maxWait: MAX_WAIT_MS, timeout: TRANSACTION_TIMEOUT_MS },
      );
      if (used !== undefined) this.#tellCommitted(used);
      return result;
    } catch (error) {
      throw asUnavailable(withoutValues(error));
    }
  }

  /**
   * The same with a plain connection, for statements that Prisma cannot say or that have to be one.
   *
   * @throws service.unavailable  as `transaction`
   */
  async sqlTransaction<T>(scope: TenantScope, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.sql.connect().catch((error: unknown) => {
      throw asUnavailable(error);
    });
    let failure: Error | undefined;
    const onError = (error: Error): void => {
      failure = error;
    };
    client.on('error', onError);
    try {
      await client.query('begin');
      await client.query(SET_SCOPE, [settingOf(scope)]);
      const result = await work(client);
      await client.query('commit');
      this.#tellCommitted(client);
      return result;
    } catch (error) {
      // A connection whose rollback fails too is thrown away below, and the server rolls back.
      await client.query('rollback').catch((rollbackError: Error) => {
        failure = rollbackError;
      });
      throw asUnavailable(error);
    } finally {
      client.off('error', onError);
      client.release(failure);
    }
  }

  /** Calls `listener` with the transaction object after each commit. */
  onCommitted(listener: (tx: object) => void): void {
    this.#committed.add(listener);
  }

  /** Does the database answer? For readiness; never throws. */
  async isHealthy(): Promise<boolean> {
    try {
      await this.sql.query('select 1');
      return true;
    } catch {
      // What is wrong with it is logged by whoever needs it.
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#client.$disconnect();
    await Promise.all([this.#prismaPool.end(), this.sql.end()]);
  }

  #tellCommitted(tx: object): void {
    for (const listener of this.#committed) listener(tx);
  }
}

/**
 * Prisma prints the whole row into the message of a statement that it refuses, and messages are logged. Kept are its first
 * line, which names the statement, and its last, which says what was wrong.
 */
function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'PrismaClientValidationError') return error;
  const lines = error.message.split('\n').filter((line) => line.trim() !== '');
  const told = new Error(`${lines[0] ?? ''} ${lines.at(-1) ?? ''}`);
  told.name = error.name;
  return told;
}

const SET_SCOPE = `select set_config('app.tenant', $1, true)`;

function settingOf(scope: TenantScope): string {
  if (scope === ACROSS_TENANTS) return '*';
  // `*` and the empty text mean something else to the policies, whoever asks for them.
  if (scope === '*' || scope === '') throw new Error('the scope of a transaction is a tenant id or ACROSS_TENANTS');
  return scope;
}

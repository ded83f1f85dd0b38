import type { TopicDefinition } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import pg from 'pg';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import type { BusRecord, NewRecord, PartitionLag } from '../event-bus.ts';
import { partitionOf } from '../partitioner.ts';
import { within } from '../within.ts';
import { prepareLog } from './migrate.ts';

/** Connections a process keeps for sending, reading and committing. Every query is short; six services share one PostgreSQL. */
const POOL_CONNECTIONS = 4;
/** A query that takes longer is stuck; it ends before the caller's patience (10 s) does. */
const STATEMENT_TIMEOUT_MS = 8_000;
/** A process that is frozen in the middle of a transaction must not keep the locks of its group from the others. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 3_000;
/** The client's own bound, for a server that does not answer at all. */
const QUERY_TIMEOUT_MS = 9_000;
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_CONNECTION_MS = 30_000;
/** Most bytes of values in one page: bounds what a reader holds, however large the records are. */
const PAGE_MAX_BYTES = 4 * 1_048_576;
/** Within which `isHealthy` answers. */
const HEALTH_TIMEOUT_MS = 2_000;

/** A partition of a topic, by the number under which the log knows it. */
export interface PartitionPlace {
  readonly id: number;
  readonly topic: string;
  readonly partition: number;
}

/** A partition and where it ended when it was asked: every record below `endOffset` can be read. */
export interface PartitionEnd extends PartitionPlace {
  readonly endOffset: number;
}

/** The log's statements, on a small pool that outlives restarts of PostgreSQL. */
export class Log {
  readonly connectionOptions: pg.ClientConfig;
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private readonly closing = new AbortController();
  /** Ids of a topic's partitions, by topic, in the order of the partitions. */
  private readonly topics = new Map<string, readonly number[]>();
  private prepared: Promise<void> | null = null;

  constructor(options: { readonly url: string; readonly clientId: string; readonly logger: Logger }) {
    this.logger = options.logger;
    this.connectionOptions = {
      connectionString: options.url,
      application_name: `${options.clientId} bus`.slice(0, 63),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    };
    this.pool = new pg.Pool({ ...this.connectionOptions, max: POOL_CONNECTIONS, idleTimeoutMillis: IDLE_CONNECTION_MS });
    // Without this an idle connection that breaks (a restart of PostgreSQL) would end the process.
    this.pool.on('error', (error) => this.logger.warn({ err: error }, 'an idle connection of the event log broke'));
    // A connection that is being handed out has no listener of the pool for a moment.
    this.pool.on('connect', (client) =>
      client.on('error', (error) => this.logger.debug({ err: error }, 'a connection of the event log broke')),
    );
  }

  /** Aborted when the bus closes. */
  get closed(): AbortSignal {
    return this.closing.signal;
  }

  /** Runs `work`, and again after a back-off when it fails, until it succeeds or the signal aborts; then undefined. */
  async persist<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    while (!signal.aborted) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) return undefined;
        this.logger.warn({ err: error }, `the event log could not ${what}; trying again`);
        await pause(backOff.nextMs(), signal);
      }
    }
    return undefined;
  }

  /** Runs statements in one transaction, on a log whose schema is up to date. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    await this.ready();
    const client = await this.pool.connect();
    let failure: Error | undefined;
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      // A connection on which something failed is thrown away; PostgreSQL then rolls its transaction back.
      client.release(failure);
    }
  }

  async query<Row extends pg.QueryResultRow>(name: string, text: string, values: readonly unknown[]): Promise<Row[]> {
    await this.ready();
    const result = await this.pool.query<Row>({ name, text, values: [...values] });
    return result.rows;
  }

  async createTopics(definitions: readonly TopicDefinition[]): Promise<void> {
    await this.transaction(async (client) => {
      for (const definition of [...definitions].sort((a, b) => a.name.localeCompare(b.name))) {
        const { rows } = await client.query<{ partitions: number | null }>('select bus.ensure_topic($1, $2, $3, $4) as partitions', [
          definition.name,
          definition.kind === 'projection',
          definition.partitions,
          definition.retentionMs ?? null,
        ]);
        const partitions = rows[0]?.partitions ?? null;
        // Null: another service writes the topic and has not created it yet. Readers wait for it.
        if (partitions === null || partitions === definition.partitions) continue;
        const differences = [`${partitions} partitions, configured ${definition.partitions}: the number is fixed for the life of a topic`];
        this.logger.warn({ topic: definition.name, differences }, 'a topic differs from its settings');
      }
    });
  }

  /**
   * Appends the records in one commit.
   *
   * @param withinMs  after this long the log will not write them any more
   * @throws internal.error  the topic does not exist, or the role may not write to it
   */
  async append(topic: string, records: readonly NewRecord[], withinMs: number): Promise<void> {
    const partitionIds = await this.partitionIds(topic);
    // One JSON text: to write arrays of text, the driver scans every value three times in JavaScript.
    const rows = records.map(({ key, value, headers = {} }) => ({
      p: partitionIds[partitionOf(key, partitionIds.length)],
      k: key,
      v: value,
      h: headers,
    }));
    try {
      await this.query('bus.append', 'select bus.append($1, $2, $3)', [topic, JSON.stringify(rows), Math.max(1, Math.round(withinMs))]);
    } catch (error) {
      if (isRefused(error))
        throw new AppError('internal.error', { message: `This service may not write to the topic ${topic}.`, cause: error });
      // PostgreSQL may have come back with other data, in which the partitions have other numbers.
      this.topics.delete(topic);
      throw error;
    }
  }

  /** Records from `fromOffset` on and below `endOffset`, at most `maxRecords` and about 4 MiB; none only when there are none. */
  async read(place: PartitionPlace, fromOffset: number, endOffset: number, maxRecords: number): Promise<BusRecord[]> {
    const rows = await this.query<{
      offset: string;
      key: string;
      value: string | null;
      headers: Record<string, string>;
      timestamp_ms: number;
    }>('bus.read', 'select "offset", key, value, headers, timestamp_ms from bus.read($1, $2, $3, $4, $5)', [
      place.id,
      fromOffset,
      endOffset,
      maxRecords,
      PAGE_MAX_BYTES,
    ]);
    return rows.map((row) => ({
      topic: place.topic,
      partition: place.partition,
      offset: Number(row.offset),
      key: row.key,
      value: row.value,
      headers: row.headers,
      timestampMs: Math.floor(row.timestamp_ms),
    }));
  }

  /** Where the partitions of the topics end now; topics that do not exist are left out. */
  async ends(topics: readonly string[]): Promise<PartitionEnd[]> {
    const rows = await this.query<{ id: number; topic: string; partition: number; next_offset: string }>(
      'bus.ends',
      'select id, topic, partition, next_offset from bus.topic_partition where topic = any($1) order by topic, partition',
      [topics],
    );
    return rows.map((row) => ({ id: row.id, topic: row.topic, partition: row.partition, endOffset: Number(row.next_offset) }));
  }

  async lag(group: string, topics: readonly string[]): Promise<PartitionLag[]> {
    const rows = await this.query<{ topic: string; partition: number; committed_offset: string; next_offset: string }>(
      'bus.lag',
      `select p.topic, p.partition, coalesce(g.committed_offset, 0) as committed_offset, p.next_offset
       from bus.topic_partition p left join bus.group_partition g on g.partition_id = p.id and g.group_name = $1
       where p.topic = any($2) order by p.topic, p.partition`,
      [group, topics],
    );
    return rows.map((row) => ({
      topic: row.topic,
      partition: row.partition,
      committedOffset: Number(row.committed_offset),
      endOffset: Number(row.next_offset),
    }));
  }

  async isHealthy(): Promise<boolean> {
    const answered = this.query('bus.health', 'select 1 from bus.sweep', []).then(
      () => true,
      () => false,
    );
    return within(HEALTH_TIMEOUT_MS, answered, () => false);
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.pool.end();
  }

  private async partitionIds(topic: string): Promise<readonly number[]> {
    const known = this.topics.get(topic);
    if (known !== undefined) return known;
    const rows = await this.query<{ id: number }>('bus.topic', 'select id from bus.topic_partition where topic = $1 order by partition', [
      topic,
    ]);
    if (rows.length === 0) throw new AppError('internal.error', { message: `The topic ${topic} does not exist; ensureTopics creates it.` });
    const ids = rows.map((row) => row.id);
    this.topics.set(topic, ids);
    return ids;
  }

  /** Prepares the log once in the life of the process; after a failure the next caller tries again. */
  private ready(): Promise<void> {
    this.prepared ??= this.prepare().catch((error: unknown) => {
      this.prepared = null;
      throw error;
    });
    return this.prepared;
  }

  private async prepare(): Promise<void> {
    const client = await this.pool.connect();
    let failure: Error | undefined;
    try {
      await prepareLog(client);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(failure);
    }
  }
}

/** SQLSTATE of `insufficient_privilege`. */
function isRefused(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '42501';
}

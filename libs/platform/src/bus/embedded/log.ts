import type { TopicDefinition } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import pg from 'pg';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import type { BusRecord, NewRecord, PartitionLag } from '../event-bus.ts';
import { partitionOf } from '../partitioner.ts';
import { within } from '../within.ts';
import { migrateLog } from './migrate.ts';

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

interface KnownTopic {
  readonly isCompacted: boolean;
  readonly partitionIds: readonly number[];
}

/** The log's statements, on a small pool that outlives restarts of PostgreSQL. */
export class Log {
  readonly connectionOptions: pg.ClientConfig;
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private readonly closing = new AbortController();
  private readonly topics = new Map<string, KnownTopic>();
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
        const { rows } = await client.query<{ partitions: number }>(
          `insert into bus.topic (name, is_compacted, partitions, retention_ms) values ($1, $2, $3, $4)
           on conflict (name) do update set retention_ms = excluded.retention_ms returning partitions`,
          [definition.name, definition.kind === 'projection', definition.partitions, definition.retentionMs ?? null],
        );
        const partitions = rows[0]?.partitions ?? definition.partitions;
        if (partitions !== definition.partitions) {
          const differences = [`${partitions} partitions, configured ${definition.partitions}: the number is fixed for the life of a topic`];
          this.logger.warn({ topic: definition.name, differences }, 'a topic differs from its settings');
        }
        await client.query(
          `insert into bus.topic_partition (topic, partition) select $1, number from generate_series(0, $2 - 1) as number on conflict do nothing`,
          [definition.name, partitions],
        );
      }
    });
  }

  /**
   * Appends the records in one commit.
   *
   * @param withinMs  after this long the log will not write them any more
   */
  async append(topic: string, records: readonly NewRecord[], withinMs: number): Promise<void> {
    const { isCompacted, partitionIds } = await this.topic(topic);
    // One JSON text: to write arrays of text, the driver scans every value three times in JavaScript.
    const rows = records.map(({ key, value, headers = {} }) => ({
      p: partitionIds[partitionOf(key, partitionIds.length)],
      k: key,
      v: value,
      h: headers,
    }));
    try {
      await this.query('bus.append', 'select bus.append($1, $2, $3)', [
        JSON.stringify(rows),
        isCompacted,
        Math.max(1, Math.round(withinMs)),
      ]);
    } catch (error) {
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
    }>(
      'bus.read',
      `select "offset", key, value, headers, (extract(epoch from written_at) * 1000)::double precision as timestamp_ms
       from (select *, sum(coalesce(octet_length(value), 0)) over (order by "offset") - coalesce(octet_length(value), 0) as bytes_before
             from (select * from bus.record where partition_id = $1 and "offset" >= $2 and "offset" < $3 order by "offset" limit $4) as page) as measured
       where bytes_before < $5 order by "offset"`,
      [place.id, fromOffset, endOffset, maxRecords, PAGE_MAX_BYTES],
    );
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

  private async topic(name: string): Promise<KnownTopic> {
    const known = this.topics.get(name);
    if (known !== undefined) return known;
    const rows = await this.query<{ is_compacted: boolean; partition_ids: number[] }>(
      'bus.topic',
      `select t.is_compacted, array_agg(p.id order by p.partition) as partition_ids
       from bus.topic t join bus.topic_partition p on p.topic = t.name where t.name = $1 group by t.name`,
      [name],
    );
    const row = rows[0];
    if (row === undefined) throw new AppError('internal.error', { message: `The topic ${name} does not exist; ensureTopics creates it.` });
    const topic = { isCompacted: row.is_compacted, partitionIds: row.partition_ids };
    this.topics.set(name, topic);
    return topic;
  }

  /** Applies the log's migrations once in the life of the process; after a failure the next caller tries again. */
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
      await migrateLog(client);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(failure);
    }
  }
}

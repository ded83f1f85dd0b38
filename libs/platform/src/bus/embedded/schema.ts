/** One step of the log's own schema. Never edited once released; a change is a new step. */
export interface LogMigration {
  readonly name: string;
  readonly sql: string;
}

/**
 * The log's tables, in the schema `bus`. They stand in a module and not in .sql files because the compiler
 * copies no other files, and the bus must find them both from its sources and from its build.
 */
export const LOG_MIGRATIONS: readonly LogMigration[] = [
  {
    name: '0001_log',
    sql: `
create table bus.topic (
  name text primary key,
  is_compacted boolean not null,
  partitions int not null check (partitions > 0),
  retention_ms bigint check (retention_ms > 0)
);

-- One row for each partition. Its lock is the partition's queue: offsets are given out and records committed under it,
-- so the order of commits is the order of offsets, and a reader that sees next_offset sees every record below it.
create table bus.topic_partition (
  id int generated always as identity primary key,
  topic text not null references bus.topic (name),
  partition int not null,
  next_offset bigint not null default 0,
  -- Up to here every key has only its last value.
  compacted_to bigint not null default 0,
  unique (topic, partition)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- No foreign key to the partition: append has just updated that row, and the check would cost a lock for every record.
create table bus.record (
  partition_id int not null,
  "offset" bigint not null,
  key text not null,
  value text,
  headers jsonb not null,
  written_at timestamptz not null default clock_timestamp(),
  is_compacted boolean not null,
  primary key (partition_id, "offset")
) with (autovacuum_vacuum_insert_scale_factor = 0.1);
create index record_key on bus.record (partition_id, key, "offset") where is_compacted;
create index record_tombstone on bus.record (partition_id, written_at) where is_compacted and value is null;

create table bus.group_member (
  group_name text not null,
  member_id text not null,
  topics text[] not null,
  heartbeat_at timestamptz not null,
  primary key (group_name, member_id)
);

create table bus.group_partition (
  group_name text not null,
  partition_id int not null references bus.topic_partition (id),
  -- The member that reads it; null while nobody does.
  owner text,
  -- Grows with every change of owner: the fence that refuses the commit of a former one.
  epoch bigint not null default 0,
  committed_offset bigint not null default 0,
  primary key (group_name, partition_id)
) with (fillfactor = 50);

-- When the log was last swept; one row.
create table bus.sweep (only_row boolean primary key default true check (only_row), swept_at timestamptz not null);
insert into bus.sweep (swept_at) values ('-infinity');

-- Appends records to partitions, all or none, in one round trip and one commit. Partitions are locked in the order of
-- their ids, so concurrent appends cannot deadlock. It waits for locks at most p_within_ms: an append that its sender
-- has given up must not come to life behind later ones. p_records: [{p: partition id, k: key, v: value or null, h: headers}, …].
create function bus.append(p_records json, p_is_compacted boolean, p_within_ms int)
returns void language plpgsql as $append$
declare
  deadline constant timestamptz := clock_timestamp() + make_interval(secs => p_within_ms / 1000.0);
  partition_ids int[];
  keys text[];
  vals text[];
  heads jsonb[];
  target record;
  first_offset bigint;
begin
  select array_agg(given.p), array_agg(given.k), array_agg(given.v), array_agg(given.h) into partition_ids, keys, vals, heads
    from json_to_recordset(p_records) as given (p int, k text, v text, h jsonb);
  for target in select wanted.id, count(*) as records from unnest(partition_ids) as wanted (id) group by wanted.id order by wanted.id loop
    perform set_config('lock_timeout', greatest(1, (extract(epoch from deadline - clock_timestamp()) * 1000)::int)::text, true);
    update bus.topic_partition set next_offset = next_offset + target.records where id = target.id
      returning next_offset - target.records into strict first_offset;
    insert into bus.record (partition_id, "offset", key, value, headers, is_compacted)
      select target.id, first_offset + row_number() over (order by given.at) - 1, given.key, given.value, given.headers, p_is_compacted
      from unnest(partition_ids, keys, vals, heads) with ordinality as given (partition_id, key, value, headers, at)
      where given.partition_id = target.id;
  end loop;
end
$append$;
`,
  },
];

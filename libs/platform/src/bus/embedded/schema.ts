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
  {
    name: '0002_service_roles',
    sql: `
-- Which role may append to a topic and read its records. Written by the owner from the contract's table of topics; '*' is every topic.
-- Roles are those of the session (session_user), which SECURITY DEFINER does not change.
create table bus.topic_grant (
  role_name text not null,
  topic text not null,
  can_write boolean not null,
  can_read boolean not null,
  primary key (role_name, topic)
);

-- Every function that runs as the owner names its tables in full and searches nothing but PostgreSQL's own schema.

-- The owner of the bus and superusers may do everything.
create function bus.is_owner() returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
return pg_has_role(session_user, current_user, 'MEMBER');

create function bus.may_write(p_topic text) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
return exists (select from bus.topic_grant g where g.role_name = session_user and g.topic in (p_topic, '*') and g.can_write) or bus.is_owner();

create function bus.may_read(p_topic text) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
return exists (select from bus.topic_grant g where g.role_name = session_user and g.topic in (p_topic, '*') and g.can_read) or bus.is_owner();

-- A service is a member of the group of its own name only: another's offsets decide which records that one skips.
create function bus.may_join(p_group text) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
return p_group = session_user
  or exists (select from bus.topic_grant g where g.role_name = session_user and g.topic = '*' and g.can_read) or bus.is_owner();

drop function bus.append(json, boolean, int);

-- Appends records to partitions of a topic, all or none, in one round trip and one commit. Partitions are locked in the order of
-- their ids, so concurrent appends cannot deadlock. It waits for locks at most p_within_ms: an append that its sender
-- has given up must not be written behind later ones. p_records: [{p: partition id, k: key, v: value or null, h: headers}, …].
create function bus.append(p_topic text, p_records json, p_within_ms int)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $append$
declare
  deadline constant timestamptz := clock_timestamp() + make_interval(secs => p_within_ms / 1000.0);
  compacted boolean;
  partition_ids int[];
  keys text[];
  vals text[];
  heads jsonb[];
  target record;
  first_offset bigint;
begin
  if not bus.may_write(p_topic) then
    raise exception 'the role % may not write to the topic %', session_user, p_topic using errcode = 'insufficient_privilege';
  end if;
  select t.is_compacted into strict compacted from bus.topic t where t.name = p_topic;
  select array_agg(given.p), array_agg(given.k), array_agg(given.v), array_agg(given.h) into partition_ids, keys, vals, heads
    from json_to_recordset(p_records) as given (p int, k text, v text, h jsonb);
  for target in select wanted.id, count(*) as records from unnest(partition_ids) as wanted (id) group by wanted.id order by wanted.id loop
    perform set_config('lock_timeout', greatest(1, (extract(epoch from deadline - clock_timestamp()) * 1000)::int)::text, true);
    -- A partition of another topic is not found.
    update bus.topic_partition p set next_offset = p.next_offset + target.records where p.id = target.id and p.topic = p_topic
      returning p.next_offset - target.records into strict first_offset;
    insert into bus.record (partition_id, "offset", key, value, headers, is_compacted)
      select target.id, first_offset + row_number() over (order by given.at) - 1, given.key, given.value, given.headers, compacted
      from unnest(partition_ids, keys, vals, heads) with ordinality as given (partition_id, key, value, headers, at)
      where given.partition_id = target.id;
  end loop;
end
$append$;

-- Records of a partition from p_from on and below p_end, in order: at most p_max, and values of about p_max_bytes, but at least one.
create function bus.read(p_partition_id int, p_from bigint, p_end bigint, p_max int, p_max_bytes bigint)
returns table ("offset" bigint, key text, value text, headers jsonb, timestamp_ms double precision)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $read$
declare
  of_topic text;
begin
  select p.topic into of_topic from bus.topic_partition p where p.id = p_partition_id;
  if not bus.may_read(of_topic) then
    raise exception 'the role % may not read the topic %', session_user, of_topic using errcode = 'insufficient_privilege';
  end if;
  return query
    select measured."offset", measured.key, measured.value, measured.headers, (extract(epoch from measured.written_at) * 1000)::double precision
    from (select page.*, sum(coalesce(octet_length(page.value), 0)) over (order by page."offset") - coalesce(octet_length(page.value), 0) as bytes_before
          from (select r.* from bus.record r where r.partition_id = p_partition_id and r."offset" >= p_from and r."offset" < p_end
                order by r."offset" limit p_max) as page) as measured
    where measured.bytes_before < p_max_bytes order by measured."offset";
end
$read$;

-- Creates a topic that the role may write, and follows its retention. Returns how many partitions it has, which never changes;
-- null when it does not exist and the role may not create it.
create function bus.ensure_topic(p_name text, p_is_compacted boolean, p_partitions int, p_retention_ms bigint)
returns int language plpgsql security definer set search_path = pg_catalog, pg_temp as $ensure$
declare
  found_partitions int;
begin
  if bus.may_write(p_name) then
    insert into bus.topic as t (name, is_compacted, partitions, retention_ms) values (p_name, p_is_compacted, p_partitions, p_retention_ms)
      on conflict (name) do update set retention_ms = excluded.retention_ms returning t.partitions into found_partitions;
    insert into bus.topic_partition (topic, partition) select p_name, number from generate_series(0, found_partitions - 1) as number
      on conflict do nothing;
  else
    select t.partitions into found_partitions from bus.topic t where t.name = p_name;
  end if;
  return found_partitions;
end
$ensure$;

-- Is a sweep due? One caller gets true in an interval.
create function bus.claim_sweep(p_every_ms int) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $claim$
begin
  update bus.sweep set swept_at = clock_timestamp() where swept_at < clock_timestamp() - make_interval(secs => p_every_ms / 1000.0);
  return found;
end
$claim$;

-- One bounded step of cleaning a partition: of projections, superseded values and old tombstones whose earlier values are gone; of
-- facts, those over their retention. Returns whether there is more to do. One caller at a time; the others get false.
-- Only the owner may shorten the day for which tombstones stay.
create function bus.sweep_partition(p_id int, p_step int, p_tombstone_grace_ms bigint)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $sweep$
declare
  grace constant interval := make_interval(secs => (case when bus.is_owner() then p_tombstone_grace_ms else greatest(p_tombstone_grace_ms, 86400000) end) / 1000.0);
  swept record;
  until_offset bigint;
  removed bigint;
  has_more_keys boolean;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('weir.bus.sweep', 0)) then
    return false;
  end if;
  select t.is_compacted, t.retention_ms, p.compacted_to, p.next_offset into swept
    from bus.topic_partition p join bus.topic t on t.name = p.topic where p.id = p_id;
  if not swept.is_compacted then
    if swept.retention_ms is null then
      return false;
    end if;
    delete from bus.record r where r.partition_id = p_id and r."offset" in (
      select oldest."offset" from (select o."offset", o.written_at from bus.record o where o.partition_id = p_id order by o."offset" limit p_step) as oldest
      where oldest.written_at < clock_timestamp() - make_interval(secs => swept.retention_ms / 1000.0));
    get diagnostics removed = row_count;
    return removed = p_step;
  end if;
  until_offset := least(swept.next_offset, swept.compacted_to + p_step);
  has_more_keys := until_offset <> swept.next_offset;
  if swept.compacted_to <> until_offset then
    delete from bus.record old using (
      select r.key, max(r."offset") as last_offset from bus.record r
      where r.partition_id = p_id and r."offset" >= swept.compacted_to and r."offset" < until_offset group by r.key
    ) as latest
    where old.partition_id = p_id and old.is_compacted and old.key = latest.key and old."offset" < latest.last_offset;
    update bus.topic_partition set compacted_to = until_offset where id = p_id;
  end if;
  delete from bus.record d where d.partition_id = p_id and d."offset" in (
    select r."offset" from bus.record r
    where r.partition_id = p_id and r.is_compacted and r.value is null and r."offset" < until_offset and r.written_at < clock_timestamp() - grace
    order by r.written_at limit p_step);
  get diagnostics removed = row_count;
  return removed = p_step or has_more_keys;
end
$sweep$;

revoke all on all functions in schema bus from public;

alter table bus.group_member enable row level security;
create policy own_group on bus.group_member using (bus.may_join(group_name)) with check (bus.may_join(group_name));
alter table bus.group_partition enable row level security;
create policy own_group on bus.group_partition using (bus.may_join(group_name)) with check (bus.may_join(group_name));
`,
  },
];

/** The role whose members are the services' roles. They have no right on records but through functions that check the grants. */
export const BUS_CLIENT_ROLE = 'bus_client';

/** Rights of the services' roles; repeated at each start of the owner, because the role may be created after the schema. */
export const CLIENT_RIGHTS = `
grant usage on schema bus to ${BUS_CLIENT_ROLE};
grant select on bus.migration, bus.topic, bus.topic_partition, bus.sweep to ${BUS_CLIENT_ROLE};
grant select, insert, update, delete on bus.group_member, bus.group_partition to ${BUS_CLIENT_ROLE};
grant execute on all functions in schema bus to ${BUS_CLIENT_ROLE};
`;

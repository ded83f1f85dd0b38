import { ALL_TOPICS, busGrants } from '@weir/contracts';
import type pg from 'pg';
import { BUS_CLIENT_ROLE, CLIENT_RIGHTS, LOG_MIGRATIONS } from './schema.ts';

/**
 * Brings the schema `bus` up to date when the role owns it; any number of processes may race, one applies. The role of a service
 * only makes sure that the owner has done so.
 *
 * @throws Error  the schema is missing or older than this code, and the role may not change it; worth a retry
 */
export async function prepareLog(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ exists: boolean; is_owner: boolean }>(
    `select n.oid is not null as exists, coalesce(pg_has_role(n.nspowner, 'USAGE'), true) as is_owner
     from (values ('bus')) as wanted (name) left join pg_namespace n on n.nspname = wanted.name`,
  );
  if (rows[0]?.is_owner === true) await migrateLog(client, rows[0].exists);
  else await checkLog(client);
}

async function migrateLog(client: pg.ClientBase, exists: boolean): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`select pg_advisory_xact_lock(hashtextextended('weir.bus.migrate', 0))`);
    // Not for an existing schema: "if not exists" asks for the right to create schemas all the same, and the role bus has none.
    if (!exists) await client.query('create schema if not exists bus');
    await client.query('create table if not exists bus.migration (name text primary key, applied_at timestamptz not null default now())');
    const names = await appliedMigrations(client);
    for (const migration of LOG_MIGRATIONS) {
      if (names.has(migration.name)) continue;
      await client.query(migration.sql);
      await client.query('insert into bus.migration (name) values ($1)', [migration.name]);
    }
    await grantTopics(client);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Writes the grants of the contract's topics where they differ. Other roles and '*' are an administrator's, and stay. */
async function grantTopics(client: pg.ClientBase): Promise<void> {
  const grants = JSON.stringify(busGrants(ALL_TOPICS));
  const wanted = `json_to_recordset($1::json) as wanted (role text, topic text, "canWrite" boolean, "canRead" boolean)`;
  await client.query(
    `delete from bus.topic_grant g where g.topic <> '*' and exists (select from ${wanted} where wanted.role = g.role_name)
     and not exists (select from ${wanted} where wanted.role = g.role_name and wanted.topic = g.topic)`,
    [grants],
  );
  await client.query(
    `insert into bus.topic_grant as g (role_name, topic, can_write, can_read) select role, topic, "canWrite", "canRead" from ${wanted}
     on conflict (role_name, topic) do update set can_write = excluded.can_write, can_read = excluded.can_read
     where (g.can_write, g.can_read) is distinct from (excluded.can_write, excluded.can_read)`,
    [grants],
  );
  const { rows } = await client.query<{ exists: boolean }>('select exists (select from pg_roles where rolname = $1) as exists', [
    BUS_CLIENT_ROLE,
  ]);
  if (rows[0]?.exists === true) await client.query(CLIENT_RIGHTS);
}

async function checkLog(client: pg.ClientBase): Promise<void> {
  const applied = await appliedMigrations(client);
  const missing = LOG_MIGRATIONS.filter(({ name }) => !applied.has(name)).map(({ name }) => name);
  if (missing.length > 0) throw new Error(`the event log lacks ${missing.join(', ')}: the owner of the schema bus has to migrate it`);
}

async function appliedMigrations(client: pg.ClientBase): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>('select name from bus.migration');
  return new Set(rows.map((row) => row.name));
}

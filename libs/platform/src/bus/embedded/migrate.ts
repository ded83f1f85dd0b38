import type pg from 'pg';
import { LOG_MIGRATIONS } from './schema.ts';

/** Brings the schema `bus` up to date; any number of processes may race, one applies. */
export async function migrateLog(client: pg.PoolClient): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`select pg_advisory_xact_lock(hashtextextended('weir.bus.migrate', 0))`);
    // Not "create schema if not exists": that asks for the right to create schemas even when it exists, and the role bus has none.
    const schema = await client.query<{ exists: boolean }>(`select to_regnamespace('bus') is not null as exists`);
    if (schema.rows[0]?.exists !== true) await client.query('create schema bus');
    await client.query('create table if not exists bus.migration (name text primary key, applied_at timestamptz not null default now())');
    const applied = await client.query<{ name: string }>('select name from bus.migration');
    const names = new Set(applied.rows.map((row) => row.name));
    for (const migration of LOG_MIGRATIONS) {
      if (names.has(migration.name)) continue;
      await client.query(migration.sql);
      await client.query('insert into bus.migration (name) values ($1)', [migration.name]);
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

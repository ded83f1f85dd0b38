import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { connectionConfig, withClient } from './connection.ts';
import { PLATFORM_MIGRATIONS } from './platform-tables.ts';

/** The repository's root: as many levels above `libs/platform/src/database` as above `libs/platform/dist/database`. */
const REPOSITORY_ROOT = path.resolve(import.meta.dirname, '../../../..');
/** Longest wait for another process that migrates the same schema. */
const LOCK_TIMEOUT_MS = 120_000;
/** A migration may rewrite a table. */
const MIGRATION_STATEMENT_TIMEOUT_MS = 600_000;

export interface MigrateOptions {
  /** Address with the service's own role. */
  readonly url: string;
  /** The service's schema; it exists already. */
  readonly schema: string;
  /** Folder with `NNNN_name/migration.sql`; by default `prisma/<schema>/migrations` of the repository. */
  readonly directory?: string | undefined;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** Where a service's migrations are when nobody says otherwise. */
export function migrationsDirectory(service: string): string {
  return path.join(REPOSITORY_ROOT, 'prisma', service, 'migrations');
}

/**
 * Brings a schema up to date: applies the migrations that it has not seen, in order, all in one transaction.
 * Processes that race wait for each other; one applies. Migrations that only the database knows are left alone,
 * so that the old version of a service can still start beside the new one.
 *
 * @returns names of the migrations that were applied now
 * @throws Error  the schema is missing, a migration was edited after it was applied, or its SQL failed (nothing is changed then)
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const migrations = [...PLATFORM_MIGRATIONS, ...readMigrations(options.directory ?? migrationsDirectory(options.schema))];
  const config = connectionConfig({ url: options.url, schema: options.schema, applicationName: `weir ${options.schema} migrate` });
  return withClient({ ...config, statement_timeout: MIGRATION_STATEMENT_TIMEOUT_MS }, async (client) => {
    await client.query('begin');
    await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`weir.migrate.${options.schema}`]);
    const schema = await client.query('select from pg_namespace where nspname = $1', [options.schema]);
    if (schema.rowCount === 0) throw new Error(`the schema ${options.schema} does not exist: prepare the database first`);
    await client.query(
      'create table if not exists _migration (name text primary key, sha256 text not null, applied_at timestamptz not null default now())',
    );
    const { rows } = await client.query<{ name: string; sha256: string }>('select name, sha256 from _migration');
    const applied = await applyMissing(client, options.schema, migrations, new Map(rows.map((row) => [row.name, row.sha256])));
    await client.query('commit');
    return applied;
  });
}

async function applyMissing(
  client: pg.Client,
  schema: string,
  migrations: readonly Migration[],
  seen: ReadonlyMap<string, string>,
): Promise<string[]> {
  const applied: string[] = [];
  for (const { name, sql } of migrations) {
    const digest = createHash('sha256').update(sql).digest('hex');
    const known = seen.get(name);
    if (known === digest) continue;
    if (known !== undefined)
      throw new Error(`the migration ${schema}/${name} was edited after it was applied: restore it and write a new one`);
    try {
      await client.query(sql);
    } catch (error) {
      throw new Error(`the migration ${schema}/${name} failed: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    await client.query('insert into _migration (name, sha256) values ($1, $2)', [name, digest]);
    applied.push(name);
  }
  return applied;
}

function readMigrations(directory: string): Migration[] {
  if (!existsSync(directory)) throw new Error(`there is no folder of migrations at ${directory}`);
  return readdirSync(directory)
    .sort()
    .map((name) => ({ name, file: path.join(directory, name, 'migration.sql') }))
    .filter(({ file }) => existsSync(file))
    .map(({ name, file }) => ({ name, sql: readFileSync(file, 'utf8') }));
}

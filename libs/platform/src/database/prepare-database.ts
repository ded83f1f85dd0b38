import pg from 'pg';
import { CONNECT_TIMEOUT_MS, withClient } from './connection.ts';

/** Role and schema of the embedded event bus. */
export const BUS_ROLE = 'bus';

export interface PrepareDatabaseOptions {
  /** Names of the services that keep state: each gets a role and a schema of its name. */
  readonly services: readonly string[];
  /** Password of each service's role, by service. */
  readonly passwords: Readonly<Record<string, string>>;
  /** Password of the bus' role, which every service has. */
  readonly busPassword: string;
}

const NAME_PATTERN = /^[a-z][a-z0-9_]{0,30}$/;
/** Roles belong to the whole server: two databases prepared at the same moment may collide. */
const ATTEMPTS = 8;
/** Tuple updated by another, unique key of a catalogue, role made by another. */
const RACE_STATES = new Set(['XX000', '23505', '42710', '40001', '40P01']);

/**
 * Makes the roles and schemas of the platform in the database of `adminUrl`; safe to repeat and to race.
 * A role may log in and own its schema, and nothing else: it cannot read another's schema, nor create in `public`.
 *
 * `adminUrl` needs a superuser, or a role that may create roles and owns the database (or has all its privileges).
 *
 * @throws Error  a role of that name exists and has privileges that would undo the separation (superuser, bypassing row-level security)
 */
export async function prepareDatabase(adminUrl: string, options: PrepareDatabaseOptions): Promise<void> {
  const roles = [
    ...options.services.map((name) => ({ name, password: passwordOf(options, name) })),
    { name: BUS_ROLE, password: options.busPassword },
  ];
  for (const { name } of roles) {
    if (!NAME_PATTERN.test(name)) throw new Error(`${name} cannot be the name of a role: use lower-case letters, digits and _`);
  }
  for (let attempt = 1; ; attempt++) {
    try {
      await withClient(
        {
          connectionString: adminUrl,
          connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
          statement_timeout: 30_000,
          application_name: 'weir prepare',
        },
        (client) => prepare(client, roles),
      );
      return;
    } catch (error) {
      if (attempt >= ATTEMPTS || !(error instanceof pg.DatabaseError) || !RACE_STATES.has(error.code ?? '')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * attempt + Math.random() * 50));
    }
  }
}

/**
 * What `prepareDatabase` does, as SQL for someone who prepares a PostgreSQL of their own by hand.
 * Passwords stand in it as `'change me'`.
 */
export function prepareDatabaseScript(services: readonly string[], database: string): string {
  const statements = [...services, BUS_ROLE].flatMap((name) => [
    `create role ${pg.escapeIdentifier(name)};`,
    ...roleStatements(name, 'change me').map((statement) => `${statement};`),
  ]);
  return [...statements, ...databaseStatements([...services, BUS_ROLE], database).map((statement) => `${statement};`), ''].join('\n');
}

function passwordOf(options: PrepareDatabaseOptions, service: string): string {
  const password = options.passwords[service];
  if (password === undefined || password === '') throw new Error(`no password was given for the role ${service}`);
  return password;
}

interface RoleRow {
  readonly name: string;
  readonly is_too_mighty: boolean;
}

async function prepare(client: pg.Client, roles: readonly { readonly name: string; readonly password: string }[]): Promise<void> {
  const names = roles.map((role) => role.name);
  await client.query('begin');
  await client.query(`select pg_advisory_xact_lock(hashtextextended('weir.prepare', 0))`);
  const known = await client.query<RoleRow>(
    'select rolname as name, rolsuper or rolbypassrls or rolcreaterole as is_too_mighty from pg_roles where rolname = any($1)',
    [names],
  );
  const mighty = known.rows.find((row) => row.is_too_mighty);
  if (mighty !== undefined)
    throw new Error(`the role ${mighty.name} exists with privileges that would undo the separation of services; rename or drop it`);
  for (const { name, password } of roles) {
    if (!known.rows.some((row) => row.name === name)) await client.query(`create role ${pg.escapeIdentifier(name)}`);
    for (const statement of roleStatements(name, password)) await client.query(statement);
  }
  const { rows } = await client.query<{ name: string }>('select current_database() as name');
  for (const statement of databaseStatements(names, rows[0]?.name ?? '')) await client.query(statement);
  await client.query('commit');
}

/** A new role has no privilege but those given here; naming the others (`nosuperuser` …) would need a superuser. */
function roleStatements(name: string, password: string): string[] {
  const role = pg.escapeIdentifier(name);
  return [
    `alter role ${role} with login password ${pg.escapeLiteral(password)}`,
    // To make a schema for a role, one has to be able to act as it (a superuser always can).
    `grant ${role} to current_user`,
    `create schema if not exists ${role} authorization ${role}`,
    `revoke all on schema ${role} from public`,
  ];
}

function databaseStatements(names: readonly string[], database: string): string[] {
  const name = pg.escapeIdentifier(database);
  return [
    'revoke all on schema public from public',
    `revoke all on database ${name} from public`,
    `grant connect on database ${name} to ${names.map((role) => pg.escapeIdentifier(role)).join(', ')}`,
  ];
}

import pg from 'pg';
import { prepareLog } from '../bus/embedded/migrate.ts';
import { BUS_CLIENT_ROLE } from '../bus/embedded/schema.ts';
import { CONNECT_TIMEOUT_MS, withClient } from './connection.ts';

/** Role and schema of the embedded event bus: owns the log, and no service connects with it. */
export const BUS_ROLE = 'bus';

export interface PrepareDatabaseOptions {
  /** Names of the services that keep state: each gets a role and a schema of its name. */
  readonly services: readonly string[];
  /** Names of the services that keep none and use the bus: each gets a role of its name. */
  readonly busClients?: readonly string[];
  /** Password of each service's role, by service. */
  readonly passwords: Readonly<Record<string, string>>;
  /** Password of the role that owns the bus. */
  readonly busPassword: string;
}

const NAME_PATTERN = /^[a-z][a-z0-9_]{0,30}$/;
/** Roles belong to the whole server: two databases prepared at the same moment may collide. */
const ATTEMPTS = 8;
/** Tuple updated by another, unique key of a catalogue, role made by another. */
const RACE_STATES = new Set(['XX000', '23505', '42710', '40001', '40P01']);

/**
 * Creates the roles and schemas of the platform in the database of `adminUrl`; safe to repeat and to race.
 * A role may log in, own its schema and use the bus within its grants, and nothing else: it cannot read another's schema, nor
 * create in `public`. `prepareBus` then brings the bus itself up to date.
 *
 * `adminUrl` needs a superuser, or a role that may create roles and owns the database (or has all its privileges).
 *
 * @throws Error  a role of that name exists and has privileges that would undo the separation (superuser, bypassing row-level security)
 */
export async function prepareDatabase(adminUrl: string, options: PrepareDatabaseOptions): Promise<void> {
  const roles = rolesOf(options.services, options.busClients ?? [], (name) =>
    name === BUS_ROLE ? options.busPassword : passwordOf(options, name),
  );
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
 * Migrates the embedded bus and writes what each service may append and read, from the contract's topics; safe to repeat and to race.
 *
 * @param url  with the role that owns the bus
 */
export async function prepareBus(url: string): Promise<void> {
  await withClient(
    { connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, statement_timeout: 60_000, application_name: 'weir prepare' },
    prepareLog,
  );
}

/**
 * The work of `prepareDatabase`, as SQL for someone who prepares a PostgreSQL of their own by hand.
 * Passwords are `'change me'` in it.
 */
export function prepareDatabaseScript(services: readonly string[], busClients: readonly string[], database: string): string {
  const roles = rolesOf(services, busClients, () => 'change me');
  const statements = [
    `create role ${BUS_CLIENT_ROLE}`,
    ...roles.flatMap((role) => [`create role ${pg.escapeIdentifier(role.name)}`, ...roleStatements(role)]),
    ...databaseStatements(
      roles.map(({ name }) => name),
      database,
    ),
  ];
  return `${statements.join(';\n')};\n`;
}

interface Role {
  readonly name: string;
  readonly password: string;
  readonly hasSchema: boolean;
  /** May it use the bus within its grants? The owner needs no grants. */
  readonly isBusClient: boolean;
}

function rolesOf(services: readonly string[], busClients: readonly string[], passwordFor: (name: string) => string): Role[] {
  return [
    ...services.map((name) => ({ name, password: passwordFor(name), hasSchema: true, isBusClient: true })),
    ...busClients.map((name) => ({ name, password: passwordFor(name), hasSchema: false, isBusClient: true })),
    { name: BUS_ROLE, password: passwordFor(BUS_ROLE), hasSchema: true, isBusClient: false },
  ];
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

async function prepare(client: pg.Client, roles: readonly Role[]): Promise<void> {
  const names = roles.map((role) => role.name);
  await client.query('begin');
  await client.query(`select pg_advisory_xact_lock(hashtextextended('weir.prepare', 0))`);
  const known = await client.query<RoleRow>(
    'select rolname as name, rolsuper or rolbypassrls or rolcreaterole as is_too_mighty from pg_roles where rolname = any($1)',
    [[...names, BUS_CLIENT_ROLE]],
  );
  const mighty = known.rows.find((row) => row.is_too_mighty);
  if (mighty !== undefined)
    throw new Error(`the role ${mighty.name} exists with privileges that would undo the separation of services; rename or drop it`);
  const isKnown = (name: string): boolean => known.rows.some((row) => row.name === name);
  if (!isKnown(BUS_CLIENT_ROLE)) await client.query(`create role ${BUS_CLIENT_ROLE}`);
  for (const role of roles) {
    if (!isKnown(role.name)) await client.query(`create role ${pg.escapeIdentifier(role.name)}`);
    for (const statement of roleStatements(role)) await client.query(statement);
  }
  const { rows } = await client.query<{ name: string }>('select current_database() as name');
  for (const statement of databaseStatements(names, rows[0]?.name ?? '')) await client.query(statement);
  await client.query('commit');
}

/** A new role has no privilege but those given here; naming the others (`nosuperuser` …) would need a superuser. */
function roleStatements({ name, password, hasSchema, isBusClient }: Role): string[] {
  const role = pg.escapeIdentifier(name);
  return [
    `alter role ${role} with login password ${pg.escapeLiteral(password)}`,
    ...(isBusClient ? [`grant ${BUS_CLIENT_ROLE} to ${role}`] : []),
    ...(hasSchema
      ? [
          // To make a schema for a role, one has to be able to act as it (a superuser always can).
          `grant ${role} to current_user`,
          `create schema if not exists ${role} authorization ${role}`,
          `revoke all on schema ${role} from public`,
        ]
      : []),
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

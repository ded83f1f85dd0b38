import { BUS_ROLE, prepareBus, prepareDatabase } from '@weir/platform/prepare-database';
import pg from 'pg';
import { StartError } from '../start-error.ts';
import type { Secrets } from '../state/secrets.ts';

/** The database that the embedded PostgreSQL gets; one of your own has the name that its address says. */
const DATABASE = 'weir';
const TIMEOUT_MS = 15_000;

/** Where each service finds its own schema, and the embedded bus: with a role of its own, which sees no more than it needs. */
export interface DatabaseUrls {
  /** @param role name of a service */
  of(role: string): string;
}

/** Makes the platform's database in a new cluster; @returns its address as the superuser. */
export async function ensureDatabase(adminUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: TIMEOUT_MS, statement_timeout: TIMEOUT_MS });
  await client.connect();
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
  const url = new URL(adminUrl);
  url.pathname = `/${DATABASE}`;
  return url.href;
}

/**
 * Creates roles and schemas, brings the embedded bus up to date, and gives the address for each role.
 *
 * @param busClients  services that keep no state
 * @throws StartError when a PostgreSQL of one's own cannot be reached or its role may not make others
 */
export async function prepareRoles(
  adminUrl: string,
  services: readonly string[],
  busClients: readonly string[],
  secrets: Secrets,
  isEmbedded: boolean,
): Promise<DatabaseUrls> {
  const urlAs = (role: string, password: string): string => {
    const url = new URL(adminUrl);
    url.username = role;
    url.password = password;
    return url.href;
  };
  try {
    await prepareDatabase(adminUrl, { services, busClients, passwords: secrets.databasePasswords, busPassword: secrets.busPassword });
    await prepareBus(urlAs(BUS_ROLE, secrets.busPassword));
  } catch (error) {
    if (isEmbedded) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`The PostgreSQL of WEIR_DATABASE_ADMIN_URL cannot be prepared: ${reason}`, { cause: error });
  }
  return { of: (role) => urlAs(role, secrets.databasePasswords[role] ?? '') };
}

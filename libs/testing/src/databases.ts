import { randomUUID } from 'node:crypto';
import { BUS_ROLE, prepareBus, prepareDatabase, type PrepareDatabaseOptions } from '@weir/platform/database';
import pg from 'pg';

/** The services that keep state. */
export const STATEFUL_SERVICES = ['auth', 'registry', 'metering', 'billing'] as const;
export type StatefulService = (typeof STATEFUL_SERVICES)[number];

/** The services that keep none: each has a role for the bus. */
const STATELESS_SERVICES = ['gateway', 'worker'] as const;

const TEMPLATE = 'weir_template';

/** A database of its own for a spec file, with the roles and schemas of all services, no tables, and the bus without topics. */
export interface TestDatabase {
  readonly name: string;
  /** As the superuser. */
  readonly adminUrl: string;
  /** As the role that owns the embedded bus: may append to and read every topic. */
  readonly busUrl: string;
  /** The embedded bus as a service connects to it, with its grants; as the owner for a name that is no service's. */
  busUrlOf(service: string): string;
  /** As a service's role. */
  urlOf(service: StatefulService): string;
}

/** Roles and passwords of every test database. */
export const testRoles: PrepareDatabaseOptions = {
  services: STATEFUL_SERVICES,
  busClients: STATELESS_SERVICES,
  passwords: Object.fromEntries([...STATEFUL_SERVICES, ...STATELESS_SERVICES].map((service) => [service, passwordOf(service)])),
  busPassword: passwordOf(BUS_ROLE),
};

/** Made once for a run: copying it is faster than preparing each database, and roles belong to the whole server. */
export async function makeTemplateDatabase(adminUrl: string): Promise<void> {
  await runAsAdmin(adminUrl, `create database ${TEMPLATE}`);
  await prepareDatabase(withDatabase(adminUrl, TEMPLATE), testRoles);
  await prepareBus(testDatabase(adminUrl, TEMPLATE).busUrl);
}

/** A new database on the PostgreSQL at `adminUrl`; `freshDatabase` is this with the run's own. */
export async function copyTemplate(adminUrl: string): Promise<TestDatabase> {
  const name = `t_${randomUUID().slice(0, 8)}`;
  await runAsAdmin(adminUrl, `create database ${name} template ${TEMPLATE}`);
  return testDatabase(adminUrl, name);
}

/** The addresses of a prepared database. */
export function testDatabase(adminUrl: string, name: string): TestDatabase {
  const urlAs = (role: string): string => {
    const url = new URL(withDatabase(adminUrl, name));
    url.username = role;
    url.password = passwordOf(role);
    return url.href;
  };
  const services: readonly string[] = [...STATEFUL_SERVICES, ...STATELESS_SERVICES];
  return {
    name,
    adminUrl: withDatabase(adminUrl, name),
    busUrl: urlAs(BUS_ROLE),
    busUrlOf: (service) => urlAs(services.includes(service) ? service : BUS_ROLE),
    urlOf: urlAs,
  };
}

function passwordOf(role: string): string {
  return `test-${role}`;
}

function withDatabase(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function runAsAdmin(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000, statement_timeout: 30_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

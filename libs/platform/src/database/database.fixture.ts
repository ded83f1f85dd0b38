import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

// For the specs of this library, which may not import @weir/testing: that library is built on this one.

declare module 'vitest' {
  interface ProvidedContext {
    pgUrl: string;
  }
}

export interface SpecDatabase {
  readonly name: string;
  readonly adminUrl: string;
  urlOf(role: string): string;
}

/** A database for one spec file, copied from the prepared one that `libs/testing/src/global-setup.ts` makes. */
export async function specDatabase(): Promise<SpecDatabase> {
  const name = `t_${randomUUID().slice(0, 8)}`;
  await queryOnce(inject('pgUrl'), `create database ${name} template weir_template`);
  const urlAs = (role?: string): string => {
    const url = new URL(inject('pgUrl'));
    url.pathname = `/${name}`;
    if (role !== undefined) Object.assign(url, { username: role, password: `test-${role}` });
    return url.href;
  };
  return { name, adminUrl: urlAs(), urlOf: urlAs };
}

/** One statement on a connection of its own. */
export async function queryOnce<Row extends pg.QueryResultRow>(url: string, statement: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(statement, values)).rows;
  } finally {
    await client.end();
  }
}

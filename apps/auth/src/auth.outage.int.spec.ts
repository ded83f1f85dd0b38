import { apiKeyChanged } from '@weir/contracts';
import { anOperator, eventually, type TestService } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { anonymous, aTenant, PASSWORD, signIn, startAuth } from './auth.fixture.ts';

let auth: TestService;

beforeAll(async () => {
  auth = await startAuth();
});

afterAll(async () => {
  await auth.close();
});

/** What every connection sees when PostgreSQL is restarted. */
async function breakAllConnections(): Promise<number> {
  const client = new pg.Client({ connectionString: auth.database.adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    return rowCount ?? 0;
  } finally {
    await client.end();
  }
}

it('every connection breaks again and again: callers get an answer or service.unavailable, and no key that was shown is lost', async () => {
  const { owner, ownerEmail } = await aTenant(auth, anOperator());
  const shown: string[] = [];
  const codes = new Set<string>();
  for (let round = 0; round < 4; round++) {
    const calls = Array.from({ length: 12 }, async () => {
      const { data, errors } = await auth.graphql<{ createApiKey: { apiKey: { id: string } } }>(
        owner,
        'mutation { createApiKey(input: { name: "x" }) { apiKey { id } } }',
      );
      if (data !== undefined && data !== null) shown.push(data.createApiKey.apiKey.id);
      for (const { extensions } of errors ?? []) codes.add(extensions.code);
    });
    expect(await breakAllConnections()).toBeGreaterThan(0);
    await Promise.all(calls);
  }
  expect([...codes].filter((code) => code !== 'service.unavailable')).toEqual([]);
  await eventually(async () => (await signIn(auth, ownerEmail, PASSWORD)).status === 200);
  await eventually(async () => (await auth.request('/health/ready', { principal: anonymous })).status === 200);
  const { keys } = await auth.project({ keys: apiKeyChanged });
  await eventually(() => shown.every((id) => [...keys.values()].some((key) => key.id === id)), { timeoutMs: 15_000 });
});

import { ACROSS_TENANTS, Database, migrate } from '@weir/platform/database';
import { createLogger } from '@weir/platform/telemetry';
import { freshDatabase } from '@weir/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient, type AuthDatabase } from '../auth-database.ts';
import { purgeAttempts, saveSource } from './sign-in-attempts.store.ts';

let database: AuthDatabase;

beforeAll(async () => {
  const url = (await freshDatabase()).urlOf('auth');
  await migrate({ url, schema: 'auth' });
  const logger = createLogger({ service: 'auth', instanceId: 'spec', level: 'silent' });
  database = new Database({ url, schema: 'auth', applicationName: 'spec', createClient, logger });
});

afterAll(async () => {
  await database.close();
});

it('keeps no expired record of sign-in attempts and no more than the bound, those that expire first going first', async () => {
  const now = new Date('2026-03-14T12:00:00.000Z');
  const left = await database.sqlTransaction(ACROSS_TENANTS, async (client) => {
    for (const [key, inMs] of Object.entries({ expired: 0, short: 1, middle: 2, long: 3 }))
      await saveSource(client, key, 1, now, new Date(now.getTime() + inMs));
    await purgeAttempts(client, now, 2);
    return (await client.query<{ key: string }>('select key from sign_in_attempts order by expires_at')).rows.map(({ key }) => key);
  });
  expect(left).toEqual(['middle', 'long']);
});

import { ACROSS_TENANTS, Database, migrate } from '@weir/platform/database';
import { createLogger } from '@weir/platform/telemetry';
import { freshDatabase, TestClock } from '@weir/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient, type AuthDatabase } from '../auth-database.ts';
import { purgeAttempts, saveSource } from './sign-in-attempts.store.ts';
import { MAX_IN_PROGRESS, SignInThrottle, type SignInAttempt } from './sign-in-throttle.ts';

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

it('admits a bounded number of attempts in progress from one network, whoever they are for, and others beside them', async () => {
  const throttle = new SignInThrottle(database, new TestClock());
  const begin = (i: number, address: string): Promise<SignInAttempt> =>
    throttle.begin(`person-${i}@x.example`, [`person-${i}`], { address, device: null });
  const attempts: SignInAttempt[] = [];
  for (let i = 0; i < MAX_IN_PROGRESS; i++) attempts.push(await begin(i, `2001:db8::${i}`));
  await expect(begin(100, '2001:db8::100')).rejects.toMatchObject({ code: 'auth.too_many_attempts', retryAfterMs: 1_000 });
  await expect(begin(100, '192.0.2.1')).resolves.toBeDefined();
  const [failed, succeeded, withdrawn] = attempts;
  if (failed === undefined || succeeded === undefined || withdrawn === undefined) throw new Error('no attempts');
  throttle.failed(failed);
  await throttle.succeeded(succeeded, 'person-1');
  await throttle.withdrawn(withdrawn);
  for (let i = 200; i < 203; i++) await expect(begin(i, '2001:db8::1')).resolves.toBeDefined();
  await expect(begin(203, '2001:db8::1')).rejects.toMatchObject({ code: 'auth.too_many_attempts' });
});

it('does not count an attempt whose password was not checked', async () => {
  const throttle = new SignInThrottle(database, new TestClock());
  for (let i = 0; i < 30; i++)
    await throttle.withdrawn(await throttle.begin('withdrawn@x.example', [], { address: '198.51.100.1', device: null }));
  for (let i = 0; i < 10; i++) throttle.failed(await throttle.begin('withdrawn@x.example', [], { address: '198.51.100.1', device: null }));
  await expect(throttle.begin('withdrawn@x.example', [], { address: '198.51.100.1', device: null })).rejects.toMatchObject({
    code: 'auth.too_many_attempts',
  });
});

it('keeps no expired record of sign-in attempts and no more than the bound, those that expire first going first', async () => {
  const now = new Date('2026-03-14T12:00:00.000Z');
  const left = await database.sqlTransaction(ACROSS_TENANTS, async (client) => {
    await client.query('delete from sign_in_attempts');
    for (const [key, inMs] of Object.entries({ expired: 0, short: 1, middle: 2, long: 3 }))
      await saveSource(client, key, 1, now, new Date(now.getTime() + inMs));
    await purgeAttempts(client, now, 2);
    return (await client.query<{ key: string }>('select key from sign_in_attempts order by expires_at')).rows.map(({ key }) => key);
  });
  expect(left).toEqual(['middle', 'long']);
});

import { tenantChanged } from '@weir/contracts';
import { systemClock, systemIds } from '@weir/kernel';
import { ACROSS_TENANTS, Database, migrate, Outbox } from '@weir/platform/database';
import { createLogger } from '@weir/platform/telemetry';
import { freshDatabase } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createClient, type AuthDatabase } from './auth-database.ts';

const logger = createLogger({ service: 'auth', instanceId: 'spec', level: 'silent' });
let database: AuthDatabase;

beforeAll(async () => {
  const url = (await freshDatabase()).urlOf('auth');
  await migrate({ url, schema: 'auth' });
  database = new Database({ url, schema: 'auth', applicationName: 'spec', createClient, logger });
  await database.transaction(ACROSS_TENANTS, async (tx) => {
    for (const id of ['one', 'two']) {
      await tx.tenantRow.create({ data: { id, slug: id, displayName: id, createdAt: new Date() } });
      await tx.personRow.create({
        data: {
          id: `person-${id}`,
          tenantId: id,
          email: `${id}@x.example`,
          name: id,
          role: 'owner',
          passwordHash: 'x',
          createdAt: new Date(),
        },
      });
      await tx.sessionRow.create({
        data: { id: `session-${id}`, tenantId: id, personId: `person-${id}`, createdAt: new Date(), expiresAt: new Date() },
      });
      await tx.apiKeyRow.create({ data: { id: `key-${id}`, tenantId: id, name: id, digest: id, createdBy: id, createdAt: new Date() } });
    }
  });
});

afterAll(async () => {
  await database.close();
});

describe('a transaction of a tenant', () => {
  it('sees the rows of that tenant alone, whatever it asks for', async () => {
    const seen = await database.transaction('one', async (tx) => [
      (await tx.tenantRow.findMany()).map(({ id }) => id),
      (await tx.personRow.findMany()).map(({ tenantId }) => tenantId),
      (await tx.sessionRow.findMany()).map(({ tenantId }) => tenantId),
      (await tx.apiKeyRow.findMany({ where: { tenantId: { in: ['one', 'two'] } } })).map(({ tenantId }) => tenantId),
    ]);
    expect(seen).toEqual([['one'], ['one'], ['one'], ['one']]);
  });

  it("can neither change nor remove another tenant's rows, nor write rows for it", async () => {
    const counts = await database.transaction('one', async (tx) => [
      (await tx.personRow.updateMany({ where: { tenantId: 'two' }, data: { role: 'member' } })).count,
      (await tx.apiKeyRow.deleteMany({ where: { id: 'key-two' } })).count,
    ]);
    expect(counts).toEqual([0, 0]);
    const intrusion = database.transaction('one', (tx) =>
      tx.apiKeyRow.create({
        data: { id: 'intruder', tenantId: 'two', name: 'x', digest: 'intruder', createdBy: 'x', createdAt: new Date() },
      }),
    );
    await expect(intrusion).rejects.toThrow(/row-level security/);
  });

  it('that fails leaves neither state nor event', async () => {
    const outbox = new Outbox({ source: 'spec', clock: systemClock, ids: systemIds });
    const attempt = database.transaction('one', async (tx) => {
      await tx.tenantRow.update({ where: { id: 'one' }, data: { displayName: 'changed' } });
      await outbox.publish(tx, tenantChanged, { id: 'one', slug: 'one', displayName: 'changed', status: 'active' }, { tenant: 'one' });
      throw new Error('changed my mind');
    });
    await expect(attempt).rejects.toThrow('changed my mind');
    const [tenant, pending] = await database.transaction('one', async (tx) => [
      await tx.tenantRow.findUnique({ where: { id: 'one' } }),
      await tx.$queryRaw<unknown[]>`select 1 from outbox`,
    ]);
    expect(tenant?.displayName).toBe('one');
    expect(pending).toEqual([]);
  });

  it('writes its event with its state', async () => {
    const outbox = new Outbox({ source: 'spec', clock: systemClock, ids: systemIds });
    await database.transaction('one', async (tx) => {
      await outbox.publish(tx, tenantChanged, { id: 'one', slug: 'one', displayName: 'one', status: 'active' }, { tenant: 'one' });
      await outbox.remove(tx, tenantChanged, 'one', { tenant: 'one' });
    });
    const { rows } = await database.sql.query<{ key: string; value: string | null }>('select key, value from outbox order by id');
    expect(rows).toMatchObject([
      { key: 'one', value: expect.stringContaining('auth.tenant.changed.v1') },
      { key: 'one', value: null },
    ]);
  });
});

it('events of one key leave in the order of their commits: a second writer waits until the transaction of the first ends', async () => {
  const outbox = new Outbox({ source: 'spec', clock: systemClock, ids: systemIds });
  const publish = (tx: Parameters<typeof outbox.publish>[0], displayName: string): Promise<void> =>
    outbox.publish(tx, tenantChanged, { id: 'ordered', slug: 'ordered', displayName, status: 'active' }, { tenant: 'ordered' });
  const release = Promise.withResolvers<void>();
  const wrote = Promise.withResolvers<void>();
  const first = database.transaction(ACROSS_TENANTS, async (tx) => {
    await publish(tx, '1');
    wrote.resolve();
    await release.promise;
  });
  await wrote.promise;
  let isSecondCommitted = false;
  const second = database.transaction(ACROSS_TENANTS, (tx) => publish(tx, '2')).then(() => (isSecondCommitted = true));
  const waiting = `select 1 from pg_locks l join pg_database d on d.oid = l.database
                   where l.locktype = 'advisory' and not l.granted and d.datname = current_database()`;
  await vi.waitFor(async () => expect(isSecondCommitted || (await database.sql.query(waiting)).rowCount === 1).toBe(true), {
    timeout: 10_000,
  });
  const didSecondWait = !isSecondCommitted;
  release.resolve();
  await Promise.all([first, second]);
  expect(didSecondWait).toBe(true);
  const { rows } = await database.sql.query<{ name: string }>(
    `select value::jsonb->'data'->>'displayName' as name from outbox where key = 'ordered' order by id`,
  );
  expect(rows.map((row) => row.name)).toEqual(['1', '2']);
});

it('a connection without a tenant sees nothing, also after one with a tenant used it', async () => {
  await Promise.all(Array.from({ length: 12 }, () => database.sqlTransaction('one', (client) => client.query('select 1'))));
  const { rows } = await database.sql.query('select * from people union all select * from people');
  expect(rows).toEqual([]);
});

it('a scope that would mean more than one tenant is refused', async () => {
  for (const scope of ['*', '']) await expect(database.transaction(scope, async () => 1)).rejects.toThrow(/tenant id/);
});

it('forty transactions at once, of two tenants, keep apart', async () => {
  const seen = await Promise.all(
    Array.from({ length: 40 }, (_, i) => {
      const tenant = i % 2 === 0 ? 'one' : 'two';
      return database.transaction(tenant, async (tx) => (await tx.personRow.findMany()).every(({ tenantId }) => tenantId === tenant));
    }),
  );
  expect(seen.every((isApart) => isApart)).toBe(true);
});

describe('a statement that the server gives up, for time or for a deadlock, is a reason to come again and not a failure of ours', () => {
  it('in plain SQL', async () => {
    const slow = database.sqlTransaction('one', async (client) => {
      await client.query(`set local statement_timeout = 50`);
      await client.query('select pg_sleep(5)');
    });
    await expect(slow).rejects.toMatchObject({ code: 'service.unavailable' });
  });

  it('in Prisma', async () => {
    const slow = database.transaction('one', async (tx) => {
      await tx.$executeRaw`set local statement_timeout = 50`;
      await tx.$queryRaw`select 1 as one from (select pg_sleep(5)) as slept`;
    });
    await expect(slow).rejects.toMatchObject({ code: 'service.unavailable' });
  });

  it('when two wait for each other', async () => {
    const { promise: bothHold, resolve: letGo } = Promise.withResolvers<void>();
    let holding = 0;
    const crosswise = ['one', 'two'].map((first) =>
      database.transaction(ACROSS_TENANTS, async (tx) => {
        const second = first === 'one' ? 'two' : 'one';
        await tx.$queryRaw`select id from tenants where id = ${first} for update`;
        holding += 1;
        if (holding === 2) letGo();
        await bothHold;
        await tx.tenantRow.update({ where: { id: second }, data: { displayName: second } });
      }),
    );
    const failed = (await Promise.allSettled(crosswise)).filter((outcome) => outcome.status === 'rejected');
    expect(failed.map(({ reason }) => (reason as { code: unknown }).code)).toEqual(['service.unavailable']);
  });
});

it('an error of the client says nothing of the row that was written', async () => {
  const wrong = {
    id: 'x',
    tenantId: 'one',
    email: 'private@x.example',
    name: 'x',
    role: 'owner',
    passwordHash: 'a-digest',
    createdAt: 'no date',
  };
  const failure = await database.transaction('one', (tx) => tx.personRow.create({ data: wrong })).catch((error: unknown) => String(error));
  expect(failure).toContain('Prisma');
  expect(failure).not.toMatch(/private@x|a-digest/);
});

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { migrate, migrationsDirectory } from '@weir/platform/database';
import { freshDatabase } from '@weir/testing';
import pg from 'pg';
import { expect, it } from 'vitest';

it('plans that were created before plans had an audience stay public', async () => {
  const url = (await freshDatabase()).urlOf('billing');
  const before = await mkdtemp(path.join(tmpdir(), 'weir-migrations-'));
  const client = new pg.Client({ connectionString: url, options: '-c search_path=billing -c app.tenant=globex' });
  try {
    const first = '0001_plans_subscriptions_and_usage';
    await cp(path.join(migrationsDirectory('billing'), first), path.join(before, first), { recursive: true });
    await migrate({ url, schema: 'billing', directory: before });
    await client.connect();
    await client.query(
      `insert into plans (id, code, display_name, currency, models, created_at) values ('plan-1', 'starter', 'Starter', 'EUR', '{*}', now())`,
    );
    await migrate({ url, schema: 'billing' });
    const { rows } = await client.query('select code, is_public, audience from plans');
    expect(rows).toEqual([{ code: 'starter', is_public: true, audience: [] }]);
  } finally {
    await client.end();
    await rm(before, { recursive: true, force: true });
  }
});

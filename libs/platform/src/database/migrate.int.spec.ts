import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from './migrate.ts';
import { PLATFORM_MIGRATIONS } from './platform-tables.ts';
import { queryOnce, specDatabase } from './database.fixture.ts';

const folders: string[] = [];
let url: string;
let directory: string;

beforeEach(async () => {
  url = (await specDatabase()).urlOf('auth');
  directory = mkdtempSync(path.join(os.tmpdir(), 'weir-migrations-'));
  folders.push(directory);
});

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function aMigration(name: string, sql: string): void {
  mkdirSync(path.join(directory, name), { recursive: true });
  writeFileSync(path.join(directory, name, 'migration.sql'), sql);
}

function query(statement: string): Promise<unknown[]> {
  return queryOnce(url, statement);
}

describe('migrations', () => {
  const platform = PLATFORM_MIGRATIONS.map((migration) => migration.name);

  it('are applied in order, each once, behind those of the platform', async () => {
    aMigration('0002_more', 'alter table things add column size int');
    aMigration('0001_things', 'create table things (id int)');
    expect(await migrate({ url, schema: 'auth', directory })).toEqual([...platform, '0001_things', '0002_more']);
    aMigration('0003_last', 'insert into things values (1, 2)');
    expect(await migrate({ url, schema: 'auth', directory })).toEqual(['0003_last']);
    expect(await query('select * from things')).toEqual([{ id: 1, size: 2 }]);
  });

  it('are applied by one of four processes that start together; the others wait and go on', async () => {
    aMigration('0001_things', 'create table things (id int); select pg_sleep(0.3)');
    const applied = await Promise.all(Array.from({ length: 4 }, () => migrate({ url, schema: 'auth', directory })));
    expect(applied.filter((names) => names.length > 0)).toEqual([[...platform, '0001_things']]);
  });

  it('leave nothing behind when one of them fails', async () => {
    aMigration('0001_things', 'create table things (id int)');
    aMigration('0002_wrong', 'create tabel other (id int)');
    await expect(migrate({ url, schema: 'auth', directory })).rejects.toThrow(/auth\/0002_wrong failed/);
    expect(await query(`select tablename from pg_tables where schemaname = 'auth'`)).toEqual([]);
  });

  it('may not be edited after they were applied', async () => {
    aMigration('0001_things', 'create table things (id int)');
    await migrate({ url, schema: 'auth', directory });
    aMigration('0001_things', 'create table things (id bigint)');
    await expect(migrate({ url, schema: 'auth', directory })).rejects.toThrow(/auth\/0001_things was edited/);
  });

  it('that only the database knows do not stop the older version of a service', async () => {
    aMigration('0001_things', 'create table things (id int)');
    await migrate({ url, schema: 'auth', directory });
    rmSync(path.join(directory, '0001_things'), { recursive: true });
    expect(await migrate({ url, schema: 'auth', directory })).toEqual([]);
  });

  it('say what to do when the database was not prepared', async () => {
    await expect(migrate({ url, schema: 'nowhere', directory })).rejects.toThrow(/prepare the database first/);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { installedPackage, postgresBinaries } from './binaries.ts';
import { removePostgres, startPostgres } from './index.ts';
import type { RunningPostgres, StartPostgresOptions } from './index.ts';

describe('embedded PostgreSQL', () => {
  let folder: string;
  let started: RunningPostgres[];

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'weir-postgres-'));
    // PostgreSQL's own account must be able to pass; mkdtemp makes folders for us alone.
    chmodSync(folder, 0o755);
    started = [];
  });

  afterEach(async () => {
    for (const server of started) await server.stop();
    removePostgres(path.join(folder, 'data'));
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(options: Partial<StartPostgresOptions> = {}): Promise<RunningPostgres> {
    const server = await startPostgres({ dataDirectory: path.join(folder, 'data'), durable: false, ...options });
    started.push(server);
    return server;
  }

  test('finds its data again after a stop', async () => {
    const first = await start();
    await query(first.adminUrl, 'create table notes as select 42 as answer');
    await first.stop();
    const second = await start();
    expect(await query(second.adminUrl, 'select answer from notes')).toEqual([{ answer: 42 }]);
  });

  test('lets nobody in without the password, which only the owner of the folder may read', async () => {
    const server = await start();
    const wrong = new URL(server.adminUrl);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow('password authentication failed');
    expect(statSync(path.join(folder, 'data.password')).mode & 0o777).toBe(0o600);
  });

  test('leaves no process behind when the one that started it is killed', async () => {
    const script = `import { startPostgres } from ${JSON.stringify(path.join(import.meta.dirname, 'index.ts'))};
      const server = await startPostgres({ dataDirectory: process.argv[1], durable: false });
      console.log(server.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(
      process.execPath,
      ['--input-type=module-typescript', '--conditions=@weir/source', '-e', script, path.join(folder, 'data')],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until(() => !isAlive(pid), 5_000);
    const next = await start();
    expect(await query(next.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('starts although a pid file names a process that is not PostgreSQL', async () => {
    await (await start()).stop();
    writeFileSync(path.join(folder, 'data', 'postmaster.pid'), `${process.ppid}\n`);
    const server = await start();
    expect(server.pid).not.toBe(process.ppid);
  });

  test('a second start on the same folder is refused and harms nothing', async () => {
    const server = await start();
    await expect(start()).rejects.toThrow(`started by process ${process.pid}`);
    expect(await query(server.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('a port in use is said in one sentence', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(start({ port })).rejects.toThrow(`Port ${port} on 127.0.0.1, wanted for PostgreSQL, is in use by another program.`);
    other.close();
  });

  test('tells when it dies, with the reason', async () => {
    let reason = '';
    const server = await start({ onExit: (text) => (reason = text) });
    process.kill(server.pid, 'SIGKILL');
    await until(() => reason !== '', 5_000);
    expect(reason).toContain('SIGKILL');
  });

  test('starts although a backend of the killed PostgreSQL is stopped and keeps its shared memory, and reports that it was killed', async () => {
    const first = await start();
    const client = new pg.Client({ connectionString: first.adminUrl });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const backend = rows[0]?.pid ?? 0;
    process.kill(backend, 'SIGSTOP');
    process.kill(first.pid, 'SIGKILL');
    await until(() => !isAlive(first.pid), 5_000);
    let killed = 0;
    const second = await start({ onLeftovers: (count) => (killed = count) });
    expect(killed).toBe(1);
    expect(await query(second.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  // Only root meets these: PostgreSQL then runs under another account, which may not enter root's folders.
  if (process.getuid?.() === 0) {
    test('as root below a folder that only root may enter, keeps the data elsewhere, notes where, and finds them again', async () => {
      chmodSync(folder, 0o700);
      const first = await start();
      await query(first.adminUrl, 'create table notes as select 42 as answer');
      await first.stop();
      const location = readFileSync(path.join(folder, 'data.location'), 'utf8').trim();
      expect(location).toMatch(/^\/var\/lib\/weir\//);
      const second = await start();
      expect(await query(second.adminUrl, 'select answer from notes')).toEqual([{ answer: 42 }]);
      await second.stop();
      removePostgres(path.join(folder, 'data'));
      expect(existsSync(location)).toBe(false);
    });

    test('as root, what a killed test run left elsewhere is deleted by the next one', async () => {
      chmodSync(folder, 0o700);
      const abandoned = path.join(folder, 'abandoned');
      mkdirSync(abandoned, { mode: 0o700 });
      await (await start({ dataDirectory: path.join(abandoned, 'data') })).stop();
      const location = readFileSync(path.join(abandoned, 'data.location'), 'utf8').trim();
      rmSync(abandoned, { recursive: true });
      await start();
      expect(existsSync(location)).toBe(false);
    });

    test('as root with the packages below a folder that only root may enter, runs a copy of the binaries', () => {
      const root = path.join(folder, 'package');
      mkdirSync(root);
      cpSync(installedPackage().root, root, { recursive: true, verbatimSymlinks: true });
      chmodSync(folder, 0o700);
      const version = `0.0.0-spec-${process.pid}`;
      const native = postgresBinaries({ uid: 65534, gid: 65534 }, { root, version });
      try {
        expect(native).toBe(`/var/lib/weir/postgresql/${version}`);
        expect(postgresBinaries({ uid: 65534, gid: 65534 }, { root, version })).toBe(native);
      } finally {
        rmSync(native, { recursive: true, force: true });
      }
    });
  }
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  // A server that is killed under an open connection must not fail the test run.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !condition(); await sleep(50)) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms`);
  }
}

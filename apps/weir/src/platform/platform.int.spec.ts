import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removePostgres } from '@weir/embedded-postgres';
import { loadSettings } from '@weir/platform/config';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { launcherSettings } from '../settings.ts';
import type { StartError } from '../start-error.ts';
import { homeAt, makeHome, type Home } from '../state/home.ts';
import { Terminal } from '../terminal/terminal.ts';
import { Platform } from './platform.ts';
import { SERVICES } from './services.ts';

/** Stands for every service: healthy at once, tells its environment, ends when told or when the launcher is gone. */
const FAKE_SERVICE = `
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
writeFileSync(new URL('environment.json', import.meta.url), JSON.stringify(process.env));
createServer((request, response) => response.end('{}')).listen(Number(process.env.WEIR_PORT), '127.0.0.1');
process.on('SIGTERM', () => { console.log('stopped at ' + Date.now()); process.exit(0); });
process.on('disconnect', () => process.exit(0));
`;

interface RunFile {
  readonly services: Record<string, { pid: number; url: string }>;
  readonly postgresql: { pid: number };
}

describe('the platform on one machine', () => {
  let root: string;
  let home: Home;
  let lines: string[];
  let fatal: StartError[];
  let platform: Platform;

  beforeEach(async () => {
    root = mkdtempSync(path.join(tmpdir(), 'weir-launcher-'));
    chmodSync(root, 0o755);
    home = homeAt(path.join(root, '.weir'));
    makeHome(home);
    for (const { name } of SERVICES) {
      mkdirSync(path.join(root, 'apps', name, 'dist'), { recursive: true });
      writeFileSync(path.join(root, 'apps', name, 'package.json'), '{ "type": "module" }');
      writeFileSync(path.join(root, 'apps', name, 'dist/main.js'), FAKE_SERVICE);
    }
    lines = [];
    fatal = [];
    platform = new Platform({
      settings: loadSettings(launcherSettings, {
        WEIR_PORT: String(await freePort()),
        WEIR_GRPC_PORT: '0',
        WEIR_START_TIMEOUT_MS: '20000',
        WEIR_LIVENESS_TIMEOUT_MS: '2000',
      }),
      home,
      root,
      environment: { PATH: process.env.PATH, WEIR_SPOOL_SYNC: 'write', WEIR_ADMIN_PASSWORD: 'not for services', UNRELATED: 'x' },
      terminal: new RecordingTerminal(lines),
      onFatal: (error) => fatal.push(error),
    });
  });

  afterEach(async () => {
    await platform.stop();
    removePostgres(home.postgres);
    rmSync(root, { recursive: true, force: true });
  });

  const runFile = (): RunFile => JSON.parse(readFileSync(home.runFile, 'utf8')) as RunFile;
  const environmentOf = (name: string): Record<string, string> =>
    JSON.parse(readFileSync(path.join(root, 'apps', name, 'dist/environment.json'), 'utf8')) as Record<string, string>;

  test('gives each service its own secrets and none of another', async () => {
    await platform.start();
    const auth = environmentOf('auth');
    const worker = environmentOf('worker');
    expect(new URL(auth.WEIR_DATABASE_URL ?? '').username).toBe('auth');
    expect(worker.WEIR_DATABASE_URL).toBeUndefined();
    expect([auth, worker].map((seen) => new URL(seen.WEIR_BUS_URL ?? '').username)).toEqual(['auth', 'worker']);
    expect(worker.WEIR_SPOOL_SYNC).toBe('write');
    // Both mark what browsers keep by the scheme of the address that users see.
    for (const seen of [auth, environmentOf('gateway')]) expect(seen.WEIR_PUBLIC_URL).toMatch(/^http:\/\//);
    const billingPassword = new URL(environmentOf('billing').WEIR_DATABASE_URL ?? '').password;
    const adminPassword = readFileSync(`${home.postgres}.password`, 'utf8').trim();
    const { busPassword } = JSON.parse(readFileSync(home.secretsFile, 'utf8')) as { readonly busPassword: string };
    for (const seen of [auth, worker]) {
      const all = JSON.stringify(seen);
      expect(all).not.toContain(billingPassword);
      expect(all).not.toContain(adminPassword);
      expect(all).not.toContain(busPassword);
      expect(all).not.toContain('not for services');
      expect(seen).not.toHaveProperty('UNRELATED');
    }
    for (const file of [home.secretsFile, auth.WEIR_SIGNING_KEY_FILE ?? '']) expect(statSync(file).mode & 0o777).toBe(0o600);
    await canQuery(auth.WEIR_DATABASE_URL ?? '');
    await canQuery(worker.WEIR_BUS_URL ?? '');
  });

  test('starts a killed PostgreSQL again on the same address and says so', { timeout: 30_000 }, async () => {
    await platform.start();
    const url = environmentOf('auth').WEIR_DATABASE_URL ?? '';
    process.kill(runFile().postgresql.pid, 'SIGKILL');
    await until(() => lines.includes('PostgreSQL runs again.'), 20_000);
    await canQuery(url);
    expect(lines.find((line) => line.includes('SIGKILL'))).toContain('It is started again in 0.5 s');
  });

  test('starts a killed service again and says when it is back', async () => {
    await platform.start();
    const before = runFile().services.metering;
    process.kill(before?.pid ?? 0, 'SIGKILL');
    await until(() => lines.some((line) => line.startsWith('metering is ready again')), 10_000);
    const after = runFile().services.metering;
    expect(after?.pid).not.toBe(before?.pid);
    expect(after?.url).toBe(before?.url);
  });

  test('replaces a service that is frozen and says so', { timeout: 30_000 }, async () => {
    await platform.start();
    const before = runFile().services.worker?.pid ?? 0;
    process.kill(before, 'SIGSTOP');
    await until(() => lines.some((line) => line.startsWith('worker is ready again')), 20_000);
    expect(lines).toContain('worker does not answer its liveness probe: it is killed.');
    expect(runFile().services.worker?.pid).not.toBe(before);
  });

  test('once started, is not stopped by a service that cannot run any more', { timeout: 30_000 }, async () => {
    await platform.start();
    // At a start, wrong settings (exit code 78) are the end.
    writeFileSync(path.join(root, 'apps/metering/dist/main.js'), 'process.exitCode = 78;');
    process.kill(runFile().services.metering?.pid ?? 0, 'SIGKILL');
    await until(() => lines.some((line) => line.startsWith('metering ended unexpectedly (exit code 78)')), 10_000);
    expect(fatal).toEqual([]);
    const gateway = runFile().services.gateway?.url ?? '';
    expect((await fetch(`${gateway}/health/live`)).status).toBe(200);
    writeFileSync(path.join(root, 'apps/metering/dist/main.js'), FAKE_SERVICE);
    await until(() => lines.some((line) => line.startsWith('metering is ready again')), 10_000);
  });

  test('starts PostgreSQL again although a backend of the killed one is stopped', { timeout: 60_000 }, async () => {
    await platform.start();
    const url = environmentOf('auth').WEIR_DATABASE_URL ?? '';
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    process.kill(rows[0]?.pid ?? 0, 'SIGSTOP');
    process.kill(runFile().postgresql.pid, 'SIGKILL');
    await until(() => lines.includes('PostgreSQL runs again.'), 40_000);
    expect(lines).toContain('1 process(es) of the PostgreSQL before did not end with it, and were killed.');
    await canQuery(url);
    expect(fatal).toEqual([]);
  });

  test('stops the gateway before the others and PostgreSQL last, and leaves nothing behind', async () => {
    await platform.start();
    const { services, postgresql } = runFile();
    await platform.stop();
    const stoppedAt = (name: string): number =>
      Number(/stopped at (\d+)/.exec(readFileSync(path.join(home.logs, `${name}.log`), 'utf8'))?.[1]);
    for (const name of ['auth', 'registry', 'metering', 'billing', 'worker'])
      expect(stoppedAt(name)).toBeGreaterThanOrEqual(stoppedAt('gateway'));
    for (const pid of [...Object.values(services).map((service) => service.pid), postgresql.pid]) expect(isAlive(pid)).toBe(false);
    expect(existsSync(home.runFile)).toBe(false);
  });

  test('a service that cannot run is named with the reason, and the platform asks to be stopped', { timeout: 30_000 }, async () => {
    writeFileSync(path.join(root, 'apps/billing/dist/main.js'), 'console.error("no such table"); process.exitCode = 1;');
    // It is stopped before the wait for readiness is over.
    platform.start().catch(() => undefined);
    await until(() => fatal.length > 0, 25_000);
    expect(fatal[0]?.message).toContain('billing cannot be started: it died 5 times within a minute');
    expect(lines).toContain('    no such table');
  });

  test('leaves nothing behind when the launcher is killed', { timeout: 30_000 }, async () => {
    // With the compiled libraries (npm test compiles first): Node.js alone does not understand decorators.
    const fixture = path.join(import.meta.dirname, 'launch.fixture.ts');
    const launcher = spawn(process.execPath, [fixture, root, home.folder, String(await freePort())], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    launcher.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until(() => output.includes('all ready'), 20_000);
    const { services, postgresql } = runFile();
    launcher.kill('SIGKILL');
    const pids = [...Object.values(services).map((service) => service.pid), postgresql.pid];
    await until(() => pids.every((pid) => !isAlive(pid)), 6_000);
  });
});

class RecordingTerminal extends Terminal {
  readonly #lines: string[];

  constructor(lines: string[]) {
    super();
    this.#lines = lines;
  }

  override line(text = ''): void {
    this.#lines.push(text);
  }

  override status(): void {
    // Nothing ticks in a test.
  }
}

async function canQuery(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  await client.query('select 1');
  await client.end();
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
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

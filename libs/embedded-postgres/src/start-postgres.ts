import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { postgresBinaries } from './binaries.ts';
import { ensureCluster } from './cluster.ts';
import { explain } from './failures.ts';
import { clearLeftovers } from './leftovers.ts';
import { place } from './placement.ts';
import { serverUser } from './server-user.ts';
import type { ServerUser } from './server-user.ts';
import { watch } from './watchdog.ts';

/** Recovery after a crash replays the log before it accepts connections; this is the longest we wait. */
const READY_TIMEOUT_MS = 90_000;
/** A fast shutdown ends sessions and writes a checkpoint; after this long it is made an immediate one. */
const FAST_STOP_TIMEOUT_MS = 10_000;
const IMMEDIATE_STOP_TIMEOUT_MS = 5_000;

export interface StartPostgresOptions {
  /** Absolute folder of the data; made when it is absent. Its neighbours `<folder>.password`, `.owner` and `.location` belong to it. */
  readonly dataDirectory: string;
  /** Port on 127.0.0.1; a free one when absent. */
  readonly port?: number;
  /** `false` gives up safety against a power cut for speed: for tests. Default true. */
  readonly durable?: boolean;
  /** Each line that PostgreSQL writes to its log. */
  readonly onLog?: (line: string) => void;
  /** Called when processes of an earlier PostgreSQL on this folder outlived it and had to be killed; with their number. */
  readonly onLeftovers?: (killed: number) => void;
  /** Called once when PostgreSQL ends without `stop()`; `reason` holds its exit, then its last log lines, each on a line of its own. */
  readonly onExit?: (reason: string) => void;
}

export interface RunningPostgres {
  readonly port: number;
  readonly pid: number;
  /** Connection string of the superuser; holds its password, so it is not for logs. */
  readonly adminUrl: string;
  /** The same for another database; default `postgres`. */
  url(database?: string): string;
  /** Stops it: fast, after a bound immediately. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a real PostgreSQL on 127.0.0.1 with password authentication and no other door.
 * It ends when `stop()` is called, and within seconds when this process is killed.
 *
 * @throws Error with one sentence: disk full, folder that cannot be written, port in use, folder in use
 */
export async function startPostgres(options: StartPostgresOptions): Promise<RunningPostgres> {
  const dataDirectory = path.resolve(options.dataDirectory);
  const durable = options.durable ?? true;
  const user = serverUser(dataDirectory);
  try {
    const files = place(dataDirectory, user, durable);
    const native = postgresBinaries(user);
    const password = await ensureCluster(files, native, user, durable);
    const killed = await clearLeftovers(files);
    if (killed > 0) options.onLeftovers?.(killed);
    const server = await launch(native, files.data, user, durable, options);
    writeFileSync(files.ownerFile, `${process.pid}\n`);
    const url = (database = 'postgres'): string =>
      `postgres://postgres:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`;
    return {
      port: server.port,
      pid: server.pid,
      adminUrl: url(),
      url,
      stop: async () => {
        await server.stop();
        rmSync(files.ownerFile, { force: true });
      },
    };
  } catch (error) {
    throw explain(error, dataDirectory, options.port);
  }
}

interface Server {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

async function launch(
  native: string,
  data: string,
  user: ServerUser | null,
  durable: boolean,
  options: StartPostgresOptions,
): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return await launchOn(port, native, data, user, durable, options);
    } catch (error) {
      // A free port may be taken by another process before PostgreSQL binds it.
      const mayRetry =
        options.port === undefined && attempt < 5 && error instanceof Error && error.message.includes('Address already in use');
      if (!mayRetry) throw explain(error, data, port);
    }
  }
}

async function launchOn(
  port: number,
  native: string,
  data: string,
  user: ServerUser | null,
  durable: boolean,
  options: StartPostgresOptions,
): Promise<Server> {
  const child = spawn(path.join(native, 'bin/postgres'), ['-D', data, ...serverSettings(port, durable)], {
    ...user,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', TZ: 'UTC' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A process group of its own: Ctrl-C in the terminal must not stop it before those that use it.
    detached: true,
  });
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, name) => resolve(name === null ? `exit code ${code}` : `signal ${name}`));
    child.once('error', (error) => resolve(error.message));
  });
  const lastLines: string[] = [];
  const unwatch = child.pid === undefined ? () => undefined : watch(child.pid, data, user);
  try {
    await ready(child, exited, (line) => {
      lastLines.push(line);
      if (lastLines.length > 20) lastLines.shift();
      options.onLog?.(line);
    });
  } catch (error) {
    child.kill('SIGQUIT');
    unwatch();
    throw error;
  }
  let isStopping = false;
  void exited.then((how) => {
    unwatch();
    if (!isStopping) options.onExit?.([`PostgreSQL ended unexpectedly (${how}).`, ...lastLines.slice(-5)].join('\n    '));
  });
  return {
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      isStopping = true;
      child.kill('SIGINT');
      if (await endsWithin(exited, FAST_STOP_TIMEOUT_MS)) return;
      child.kill('SIGQUIT');
      if (await endsWithin(exited, IMMEDIATE_STOP_TIMEOUT_MS)) return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Resolves when PostgreSQL accepts connections; reads its log for as long as it lives, or its pipe would fill. */
function ready(child: ChildProcessByStdio<null, null, Readable>, exited: Promise<string>, onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const lines: string[] = [];
    let isReady = false;
    const timer = setTimeout(
      () => reject(new Error(`PostgreSQL did not accept connections within ${READY_TIMEOUT_MS / 1000} s.`)),
      READY_TIMEOUT_MS,
    );
    const reader = createInterface({ input: child.stderr });
    reader.on('line', (line) => {
      onLine(line);
      if (isReady) return;
      lines.push(line);
      if (line.includes('ready to accept connections')) {
        isReady = true;
        clearTimeout(timer);
        resolve();
      }
    });
    void exited.then(async (how) => {
      clearTimeout(timer);
      // What it said last may still be in the pipe.
      await endsWithin(new Promise((done) => reader.once('close', done)), 500);
      reject(new Error(`PostgreSQL did not start (${how}): ${lines.slice(-8).join(' | ')}`));
    });
  });
}

/** Sized for a laptop or a small container: the whole platform has to fit beside it. */
function serverSettings(port: number, durable: boolean): string[] {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '64MB',
    max_connections: 200,
    jit: 'off',
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_wal_size: '256MB',
    log_checkpoints: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

async function endsWithin(event: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([event.then(() => true as const), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { INTERNAL_TOKEN_HEADER, InternalTokenSigner, type InternalSigningKey } from '@weir/access';
import { removePostgres } from '@weir/embedded-postgres';
import { PlatformClient } from './platform-client.ts';

const LAUNCHER = new URL('../../apps/weir/dist/main.js', import.meta.url).pathname;
const READY_TIMEOUT_MS = 150_000;
const STOP_TIMEOUT_MS = 60_000;

export type ServiceName = 'auth' | 'registry' | 'metering' | 'billing' | 'worker' | 'gateway';

interface RunFile {
  readonly grpcAddress: string;
  readonly postgresql: { readonly pid: number };
  readonly services: Readonly<Record<ServiceName, { readonly pid: number; readonly url: string }>>;
}

export interface StartOptions {
  /** Folder of the state; a new one by default. */
  readonly home?: string;
  readonly port?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The platform as a user runs it: the launcher and its processes, from a folder of their own. */
export class RunningPlatform {
  readonly home: string;
  readonly port: number;
  readonly #launcher: ChildProcess;
  readonly #output: string[] = [];
  readonly #answers = new Map<number, (answer: { done: boolean; error?: string }) => void>();
  #requests = 0;

  private constructor(home: string, port: number, launcher: ChildProcess) {
    this.home = home;
    this.port = port;
    this.#launcher = launcher;
    for (const stream of [launcher.stdout, launcher.stderr]) stream?.on('data', (chunk: Buffer) => this.#output.push(chunk.toString()));
    launcher.on('message', (message: { id?: number; done: boolean; error?: string }) => {
      if (message.id !== undefined) this.#answers.get(message.id)?.(message);
    });
  }

  /** Starts it and waits until it says that it is ready: services up, demonstration seeded. */
  static async start(options: StartOptions = {}): Promise<RunningPlatform> {
    const home = options.home ?? path.join(mkdtempSync(path.join(tmpdir(), 'weir-platform-')), '.weir');
    const port = options.port ?? (await freePort());
    const launcher = fork(LAUNCHER, ['start'], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        WEIR_GRPC_PORT: '0',
        // The demonstration's tenant makes all the calls of a spec.
        WEIR_TENANT_REQUESTS_PER_MINUTE: '1000000',
        ...options.environment,
        WEIR_HOME: home,
        WEIR_PORT: String(port),
      },
    });
    const platform = new RunningPlatform(home, port, launcher);
    try {
      await platform.#becomeReady();
      return platform;
    } catch (error) {
      await platform.stop();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Host and port of gRPC. */
  get grpcAddress(): string {
    return this.#runFile().grpcAddress;
  }

  /** Everything that the launcher printed. */
  get output(): string {
    return this.#output.join('');
  }

  /** Number of the launcher's own process. */
  get launcherPid(): number {
    return this.#launcher.pid ?? 0;
  }

  /** What a newcomer finds in demo.env. */
  get demo(): Readonly<
    Record<
      'WEIR_URL' | 'WEIR_API_KEY' | 'WEIR_ADMIN_EMAIL' | 'WEIR_ADMIN_PASSWORD' | 'WEIR_OPERATOR_EMAIL' | 'WEIR_OPERATOR_PASSWORD',
      string
    >
  > {
    return parseEnv(readFileSync(this.demoFile, 'utf8')) as RunningPlatform['demo'];
  }

  get demoFile(): string {
    return path.join(this.home, 'demo.env');
  }

  /** A client with the demonstration's API key. */
  get client(): PlatformClient {
    return new PlatformClient(this.url, this.demo.WEIR_API_KEY);
  }

  /** A client signed in as the tenant's administrator. */
  administrator(): Promise<PlatformClient> {
    return PlatformClient.signIn(this.url, this.demo.WEIR_ADMIN_EMAIL, this.demo.WEIR_ADMIN_PASSWORD);
  }

  /** A client signed in as the operator. */
  operator(): Promise<PlatformClient> {
    return PlatformClient.signIn(this.url, this.demo.WEIR_OPERATOR_EMAIL, this.demo.WEIR_OPERATOR_PASSWORD);
  }

  pidOf(service: ServiceName): number {
    return this.#runFile().services[service].pid;
  }

  /** Address of a service's internal port. */
  internalUrlOf(service: ServiceName): string {
    return this.#runFile().services[service].url;
  }

  /** Puts a file of a tenant's model into the registry, as an upload service does. */
  async upload(tenantId: string, sha256: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
    const jwk = JSON.parse(readFileSync(path.join(this.home, 'keys', 'gateway.jwk.json'), 'utf8')) as InternalSigningKey['jwk'];
    const token = await new InternalTokenSigner({ service: 'gateway', jwk }).sign(
      { kind: 'person', id: 'uploader', tenantId, scopes: new Set(['models.manage']) },
      'registry',
    );
    const answer = await fetch(`${this.internalUrlOf('registry')}/artifacts/sha256/${sha256}`, {
      method: 'PUT',
      headers: { [INTERNAL_TOKEN_HEADER]: token, 'content-type': 'application/octet-stream' },
      body: content,
    });
    if (answer.status !== 200) throw new Error(`the registry answered ${answer.status}: ${await answer.text()}`);
  }

  pids(): number[] {
    const { postgresql, services } = this.#runFile();
    return [postgresql.pid, ...Object.values(services).map((service) => service.pid), this.launcherPid];
  }

  /** `kill -9`; the launcher starts it again. */
  kill(service: ServiceName): void {
    process.kill(this.pidOf(service), 'SIGKILL');
  }

  /** Stops a process and keeps it stopped. */
  pause(target: ServiceName | 'postgresql'): Promise<void> {
    return this.#ask('pause', target);
  }

  resume(target: ServiceName | 'postgresql'): Promise<void> {
    return this.#ask('resume', target);
  }

  /** As Ctrl-C does; waits for the end. @returns the launcher's exit code */
  async stop(options: { keepData?: boolean } = {}): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => {
      if (this.#launcher.exitCode !== null || this.#launcher.signalCode !== null) resolve(this.#launcher.exitCode);
      this.#launcher.once('exit', (code) => resolve(code));
    });
    this.#launcher.kill('SIGINT');
    const timer = setTimeout(() => this.#launcher.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const code = await ended;
    clearTimeout(timer);
    if (options.keepData !== true) this.removeData();
    return code;
  }

  removeData(): void {
    removePostgres(path.join(this.home, 'postgres'));
    rmSync(path.dirname(this.home), { recursive: true, force: true });
  }

  #runFile(): RunFile {
    return JSON.parse(readFileSync(path.join(this.home, 'run.json'), 'utf8')) as RunFile;
  }

  async #becomeReady(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(
          () => reject(new Error(`the platform is not ready after ${READY_TIMEOUT_MS / 1000} s:\n${this.output}`)),
          READY_TIMEOUT_MS,
        );
        this.#launcher.once('exit', (code) => reject(new Error(`the launcher ended with ${code}:\n${this.output}`)));
        this.#launcher.on('message', (message: { type?: string }) => {
          if (message.type === 'ready') resolve();
        });
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(action: 'pause' | 'resume', target: ServiceName | 'postgresql'): Promise<void> {
    const id = ++this.#requests;
    const answer = await new Promise<{ done: boolean; error?: string }>((resolve) => {
      this.#answers.set(id, resolve);
      this.#launcher.send({ id, action, target });
    });
    if (!answer.done) throw new Error(`the launcher could not ${action} ${target}: ${answer.error}`);
  }
}

/** Runs a launcher that is expected to end by itself. */
export async function runLauncher(args: string[], environment: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const launcher = fork(LAUNCHER, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
  });
  let output = '';
  for (const stream of [launcher.stdout, launcher.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => launcher.once('exit', resolve));
  return { code, output };
}

export async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export function fileMode(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AppError } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import { fromServingSchema, type FromServing, type ServingSettings, type ToServing } from '../serving/control-messages.ts';
import { createFileFor, type ServingAccount } from './serving-accounts.ts';
import { servingEnvironment } from './serving-environment.ts';

/** The sources run as they are under the tests, the compiled files in production. */
const IS_SOURCE = import.meta.url.endsWith('.ts');
export const SERVING_ENTRY = fileURLToPath(new URL(IS_SOURCE ? '../serving/main.ts' : '../serving/main.js', import.meta.url));
/** Node.js starts, reads its code and listens; on a busy machine that takes its time. */
const START_TIMEOUT_MS = 60_000;
/** Silence after which a process counts as stuck: it says every second that it lives. */
const SILENCE_MS = 15_000;
const WATCH_INTERVAL_MS = 1_000;

export interface ServingChildOptions {
  readonly settings: ServingSettings;
  /** Most memory that the process may have, in bytes; what asks for more is refused by the system. Linux only. */
  readonly memoryLimitBytes: number;
  /** Null: it runs as the user of this process. */
  readonly account: ServingAccount | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly onMessage: (message: FromServing) => void;
  /** The process has ended, wanted or not. */
  readonly onExit: (how: string) => void;
}

/** A serving process, seen from its supervisor. */
export class ServingChild {
  readonly #options: ServingChildOptions;
  readonly #process: ChildProcess;
  readonly #listening = Promise.withResolvers<number>();
  readonly #watch: NodeJS.Timeout;
  readonly #exited = Promise.withResolvers<void>();
  #heardAtMs = performance.now();
  #isListening = false;
  #hasEnded = false;

  constructor(options: ServingChildOptions) {
    this.#options = options;
    this.#listening.promise.catch(() => undefined);
    this.#process = start(options);
    this.#process.on('message', (raw) => this.#receive(raw));
    this.#process.on('error', (error) => this.#ended(error.message));
    this.#process.on('exit', (code, signal) => this.#ended(signal ?? `exit code ${code}`));
    this.#watch = setInterval(() => this.#lookAfter(), WATCH_INTERVAL_MS);
    this.send({ kind: 'configure', settings: options.settings });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /**
   * The port that it listens on.
   *
   * @throws worker.unreachable when it ends before, or takes too long
   */
  async listening(): Promise<number> {
    const timer = setTimeout(() => this.kill('it did not start in time'), START_TIMEOUT_MS);
    try {
      return await this.#listening.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  send(message: ToServing): void {
    // Between the end of the process and the news of it, there is nobody to tell.
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  /** Ends the process at once. A run that does not end cannot be ended otherwise. */
  kill(reason: string): void {
    if (this.#hasEnded) return;
    this.#options.logger.error({ servingPid: this.pid, reason }, 'a serving process is ended');
    this.#process.kill('SIGKILL');
  }

  /** Lets the process finish its calls, then ends it; resolves when it is gone. */
  async drain(timeoutMs: number): Promise<void> {
    this.send({ kind: 'drain', timeoutMs });
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), timeoutMs + WATCH_INTERVAL_MS);
    await this.#exited.promise;
    clearTimeout(timer);
  }

  #receive(raw: unknown): void {
    const parsed = fromServingSchema.safeParse(raw);
    if (!parsed.success) {
      this.kill('it said something that a serving process does not say');
      return;
    }
    this.#heardAtMs = performance.now();
    if (parsed.data.kind === 'listening') {
      this.#isListening = true;
      this.#listening.resolve(parsed.data.port);
    }
    this.#options.onMessage(parsed.data);
  }

  #lookAfter(): void {
    if (this.#isListening && performance.now() - this.#heardAtMs > SILENCE_MS) this.kill('it does not answer');
  }

  #ended(how: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#watch);
    this.#listening.reject(new AppError('worker.unreachable', { cause: new Error(`a serving process ended: ${how}`) }));
    this.#exited.resolve();
    this.#options.onExit(how);
  }
}

/** Present on most Linux systems; without it a process that is taken over may execute set-user-id programs. */
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((file) => existsSync(file));

function start({ settings, memoryLimitBytes, account, environment }: ServingChildOptions): ChildProcess {
  const node = [
    process.execPath,
    ...(IS_SOURCE ? ['--conditions=@weir/source'] : []),
    '--disable-warning=ExperimentalWarning',
    SERVING_ENTRY,
  ];
  createFileFor(account, settings.flightFile);
  const options = {
    ...account,
    env: servingEnvironment(environment),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'json',
  } satisfies Parameters<typeof spawn>[2];
  if (process.platform !== 'linux') return spawn(process.execPath, node.slice(1), options);
  const command = SETPRIV === undefined ? node : [SETPRIV, '--no-new-privs', ...node];
  // No core files: they hold what callers sent. The data limit counts memory that is written to; ONNX Runtime reports what it is
  // refused as an error, where it would be killed without.
  return spawn(
    '/bin/sh',
    ['-c', 'ulimit -c 0; ulimit -d "$0" && exec "$@"', String(Math.floor(memoryLimitBytes / 1024)), ...command],
    options,
  );
}

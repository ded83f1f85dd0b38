import { startPostgres, type RunningPostgres } from '@weir/embedded-postgres';
import { RestartPolicy } from '../processes/restart-policy.ts';
import type { RotatingLog } from '../processes/rotating-log.ts';

export interface EmbeddedDatabaseOptions {
  readonly dataDirectory: string;
  readonly port: number;
  readonly log: RotatingLog;
  /** It died and is being started again after `delayMs`. */
  readonly onRestart: (reason: string, delayMs: number) => void;
  readonly onRestarted: () => void;
  /** Processes of the server that died outlived it and had to be killed; with their number. */
  readonly onLeftovers: (killed: number) => void;
}

/** The PostgreSQL of the platform, started again on the same port when it dies, with a growing delay and without an end. */
export class EmbeddedDatabase {
  readonly #options: EmbeddedDatabaseOptions;
  readonly #policy = new RestartPolicy();
  #server: RunningPostgres | null = null;
  #restart: NodeJS.Timeout | undefined;
  /** The start that is under way or was the last; never rejects. */
  #launching: Promise<unknown> = Promise.resolve();
  #isWanted = false;
  #startedAtMs = 0;

  constructor(options: EmbeddedDatabaseOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#server?.pid ?? null;
  }

  /** @returns connection string of the superuser @throws Error with one sentence why it cannot start */
  async start(): Promise<string> {
    this.#isWanted = true;
    const launched = this.#launch();
    this.#launching = launched.catch(() => undefined);
    return (await launched).adminUrl;
  }

  async stop(): Promise<void> {
    this.#isWanted = false;
    clearTimeout(this.#restart);
    // What is just starting is stopped when it has started.
    await this.#launching;
    await this.#server?.stop();
    this.#server = null;
    this.#options.log.close();
  }

  /** Stops without waiting for anything; the data are recovered at the next start. */
  kill(): void {
    this.#isWanted = false;
    clearTimeout(this.#restart);
    if (this.#server !== null) process.kill(this.#server.pid, 'SIGQUIT');
  }

  async #launch(): Promise<RunningPostgres> {
    const { dataDirectory, port, log, onLeftovers } = this.#options;
    this.#startedAtMs = Date.now();
    this.#server = await startPostgres({
      dataDirectory,
      port,
      onLog: (line) => log.write(line),
      onLeftovers,
      onExit: (reason) => this.#died(reason),
    });
    return this.#server;
  }

  #died(reason: string): void {
    this.#server = null;
    if (!this.#isWanted) return;
    const nowMs = Date.now();
    const { delayMs } = this.#policy.afterDeath(nowMs, nowMs - this.#startedAtMs);
    this.#options.onRestart(reason, delayMs);
    this.#restart = setTimeout(() => {
      this.#launching = this.#launch().then(
        () => this.#options.onRestarted(),
        (error: unknown) => this.#died(error instanceof Error ? error.message : String(error)),
      );
    }, delayMs);
  }
}

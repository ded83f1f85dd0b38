import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Guardian } from './guardian.ts';
import { LastLines } from './log-lines.ts';
import { RestartPolicy } from './restart-policy.ts';
import type { RotatingLog } from './rotating-log.ts';

/** EX_CONFIG of sysexits.h: the process says that its settings are wrong, so a restart would not help. */
const WRONG_SETTINGS_EXIT_CODE = 78;
/** Fast deaths within a minute after which a process that is being started for the first time is a failure of the start. */
const FAST_DEATHS_AT_START = 5;
/** How many of its last log lines are shown when a process dies. */
const SHOWN_LINES = 8;

export interface ProcessDefinition {
  readonly name: string;
  /** Script that Node.js runs. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Flags for Node.js itself. */
  readonly nodeFlags?: readonly string[];
  /** The whole environment of the process: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: RotatingLog;
  /** How long it may take to stop before it is killed, in milliseconds. */
  readonly stopTimeoutMs: number;
}

export interface ProcessDeath {
  readonly name: string;
  /** Such as `signal SIGKILL` or `exit code 1`. */
  readonly how: string;
  readonly lastLines: readonly string[];
}

export interface ProcessObserver {
  /** It died and will be started again after `delayMs`. */
  readonly onRestart: (death: ProcessDeath, delayMs: number) => void;
  /** It runs again; wait for its readiness. */
  readonly onStarted: (pid: number) => void;
  /** It failed to start, and will not be started again; never called after `keepRunning`. */
  readonly onStartFailure: (death: ProcessDeath, reason: string) => void;
}

/** One process of the platform: started, started again when it dies, stopped when told. */
export class SupervisedProcess {
  readonly definition: ProcessDefinition;
  readonly #observer: ProcessObserver;
  readonly #guardian: Guardian;
  readonly #policy = new RestartPolicy();
  readonly #lastLines = new LastLines();
  #child: ChildProcess | null = null;
  /** Settles when the process that runs now is gone and cleared away. */
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #isWanted = false;
  #keepsRunning = false;

  constructor(definition: ProcessDefinition, observer: ProcessObserver, guardian: Guardian) {
    this.definition = definition;
    this.#observer = observer;
    this.#guardian = guardian;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    this.#isWanted = true;
    if (this.#child === null) this.#spawn();
  }

  /** From now on it is restarted whatever it dies of: a platform that has started is not stopped for one process. */
  keepRunning(): void {
    this.#keepsRunning = true;
  }

  /** Kills the process when it is still `pid` and is meant to run, so that another one is started in its place. */
  replace(pid: number): void {
    if (this.#isWanted && this.#child?.pid === pid) this.#kill(this.#child);
  }

  /** The last log lines, for a message that it did not become ready. */
  lastLines(): readonly string[] {
    return this.#lastLines.shown(SHOWN_LINES);
  }

  /** Tells it to stop and waits; kills it when it does not within its time. `force` kills at once. */
  async stop(options: { readonly force?: boolean } = {}): Promise<void> {
    this.#isWanted = false;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null) return;
    if (options.force === true) this.#kill(child);
    else child.kill('SIGTERM');
    const timer = setTimeout(() => this.#kill(child), this.definition.stopTimeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  #spawn(): void {
    const { name, script, args = [], nodeFlags = [], environment } = this.definition;
    const startedAtMs = Date.now();
    this.#lastLines.clear();
    const child = spawn(process.execPath, [...nodeFlags, script, ...args], {
      env: { ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A process group of its own: Ctrl-C reaches the launcher alone, which then stops all in order.
      detached: true,
    });
    this.#child = child;
    let ended = (): void => undefined;
    this.#ended = new Promise((resolve) => (ended = resolve));
    const died = (how: string, code: number | null): void => {
      this.#died(child, how, code, startedAtMs);
      ended();
    };
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) this.#keepLines(stream);
    child.once('error', (error) => {
      this.#lastLines.add(error.message);
      // Without a process number it never began, and no exit follows.
      if (child.pid === undefined) died(`cannot be started (${error.message})`, null);
    });
    child.once('exit', (code, signal) => {
      // What it printed last may still be on its way.
      setTimeout(() => died(signal === null ? `exit code ${code}` : `signal ${signal}`, code), 50);
    });
    if (child.pid === undefined) return;
    this.#guardian.watch(child.pid);
    this.definition.log.write(`${new Date(startedAtMs).toISOString()} the launcher started ${name} as process ${child.pid}`);
    this.#observer.onStarted(child.pid);
  }

  #keepLines(stream: Readable): void {
    const reader = createInterface({ input: stream });
    reader.on('line', (line) => {
      this.#lastLines.add(line);
      this.definition.log.write(line);
    });
    stream.on('error', () => reader.close());
  }

  #died(child: ChildProcess, how: string, code: number | null, startedAtMs: number): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (child.pid !== undefined) {
      // It may leave children of its own, such as those that run models.
      this.#signalGroup(child.pid, 'SIGKILL');
      this.#guardian.forget(child.pid);
    }
    if (!this.#isWanted) return;
    const death: ProcessDeath = { name: this.definition.name, how, lastLines: this.lastLines() };
    const nowMs = Date.now();
    const { delayMs, fastDeaths } = this.#policy.afterDeath(nowMs, nowMs - startedAtMs);
    const failure = startFailure(code, fastDeaths);
    if (failure !== null && !this.#keepsRunning) {
      this.#isWanted = false;
      this.#observer.onStartFailure(death, failure);
      return;
    }
    this.#observer.onRestart(death, delayMs);
    this.#restart = setTimeout(() => {
      if (this.#isWanted && this.#child === null) this.#spawn();
    }, delayMs);
  }

  #kill(child: ChildProcess): void {
    if (child.pid !== undefined) this.#signalGroup(child.pid, 'SIGKILL');
  }

  #signalGroup(group: number, signal: NodeJS.Signals): void {
    try {
      process.kill(-group, signal);
    } catch (error) {
      // Nothing of the group is left (macOS says EPERM for one whose last process is only remembered).
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    }
  }
}

/** Why a process that has never run cannot be expected to, or null when another attempt may succeed. */
function startFailure(code: number | null, fastDeaths: number): string | null {
  if (code === WRONG_SETTINGS_EXIT_CODE) return 'its settings are wrong';
  return fastDeaths >= FAST_DEATHS_AT_START ? `it died ${fastDeaths} times within a minute` : null;
}

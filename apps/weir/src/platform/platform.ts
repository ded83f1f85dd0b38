import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { EmbeddedDatabase } from '../database/embedded-database.ts';
import { ensureDatabase, prepareRoles } from '../database/platform-database.ts';
import { startGuardian, type Guardian } from '../processes/guardian.ts';
import { becomesReady, becomesUnresponsive } from '../processes/health-probes.ts';
import { RotatingLog } from '../processes/rotating-log.ts';
import { SupervisedProcess, type ProcessDeath } from '../processes/supervised-process.ts';
import type { LauncherSettings } from '../settings.ts';
import { StartError } from '../start-error.ts';
import type { Home } from '../state/home.ts';
import { chooseGrpcPort, choosePorts } from '../state/ports.ts';
import { readSecrets, type Secrets } from '../state/secrets.ts';
import { ensureSigningKeys, type SigningKeyFiles } from '../state/signing-keys.ts';
import { secondsSince, withTicking, type Terminal } from '../terminal/terminal.ts';
import { addressesOf } from './addresses.ts';
import { environmentOf, scriptOf, type Addresses } from './service-environment.ts';
import { isOnDataPath, SERVICES, SIGNERS, STATEFUL_SERVICES, STATELESS_SERVICES, type ServiceName } from './services.ts';

/** A service drains for 15 s at most (WEIR_SHUTDOWN_TIMEOUT_MS); then it is killed. */
const STOP_TIMEOUT_MS = 20_000;
const POSTGRES = 'PostgreSQL';
const NODE_FLAGS = ['--disable-warning=TimeoutNegativeWarning', '--disable-warning=ExperimentalWarning'];
/** Young objects get 3 × 2 MiB instead of 3 × 16: a third less memory for a service that is not called often. */
const SMALL_HEAP_FLAGS = ['--max-semi-space-size=2'];

export interface PlatformParts {
  readonly settings: LauncherSettings;
  readonly home: Home;
  /** Folder of the project. */
  readonly root: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  /** Something cannot be started: the platform must stop, for this reason. Never called once `start` has resolved. */
  readonly onFatal: (error: StartError) => void;
}

export interface StartedPlatform {
  readonly addresses: Addresses;
  readonly secrets: Secrets;
  readonly keys: SigningKeyFiles;
}

/** All processes of Weir on one machine. */
export class Platform {
  readonly #parts: PlatformParts;
  readonly #processes = new Map<ServiceName, SupervisedProcess>();
  readonly #guardian: Guardian = startGuardian(STOP_TIMEOUT_MS);
  readonly #stopping = new AbortController();
  #database: EmbeddedDatabase | null = null;
  #addresses: Addresses | null = null;

  constructor(parts: PlatformParts) {
    this.#parts = parts;
  }

  /**
   * Starts everything and waits until all services are ready. From then on nothing but `stop` ends the platform: a process that
   * dies or freezes is started again, with a growing delay and without an end, and the others go on meanwhile.
   *
   * @throws StartError
   */
  async start(): Promise<StartedPlatform> {
    const { settings, home, root, environment, terminal } = this.#parts;
    for (const { name } of SERVICES) {
      if (!existsSync(scriptOf(root, name))) throw new StartError(`${name} is not compiled: run npm run build.`);
    }
    const secrets = readSecrets(home.secretsFile, [...STATEFUL_SERVICES, ...STATELESS_SERVICES]);
    const keys = await ensureSigningKeys(home.keys, SIGNERS);
    const names = ['postgresql', ...SERVICES.map((service) => service.name), 'gateway-internal'];
    const grpcPort = await chooseGrpcPort(settings.host, settings.grpcPort, settings.port);
    const ports = await choosePorts(home.portsFile, names, [settings.port, grpcPort]);
    const addresses = addressesOf(settings, grpcPort, ports);
    this.#addresses = addresses;
    const adminUrl = settings.databaseAdminUrl ?? (await this.#startDatabase(ports.get('postgresql') ?? 0));
    const databases = await prepareRoles(adminUrl, STATEFUL_SERVICES, STATELESS_SERVICES, secrets, settings.databaseAdminUrl === undefined);
    this.#stopping.signal.throwIfAborted();
    const beganMs = Date.now();
    for (const service of SERVICES) {
      const process = this.#supervise(
        service.name,
        environmentOf(service, { settings, home, ports: addresses, databases, keys, inherited: environment }),
      );
      this.#processes.set(service.name, process);
      process.start();
    }
    const waiting = new Set(this.#processes.keys());
    await withTicking(
      terminal,
      () => `waiting for ${[...waiting].join(', ')}`,
      Promise.all(
        [...this.#processes].map(async ([name, process]) => {
          await this.#untilReady(name, process);
          waiting.delete(name);
          terminal.line(`  ${name.padEnd(11)} ready   ${secondsSince(beganMs)}`);
        }),
      ),
    );
    for (const process of this.#processes.values()) process.keepRunning();
    return { addresses, secrets, keys };
  }

  /** Stops everything: the gateway first, so that no new call comes in, then the others, PostgreSQL last. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#processes.get('gateway')?.stop();
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
    await this.#database?.stop();
    this.#guardian.close();
    rmSync(this.#parts.home.runFile, { force: true });
  }

  /** Stops everything at once. */
  async kill(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#processes.values()].map((process) => process.stop({ force: true })));
    this.#database?.kill();
    this.#guardian.close();
  }

  /** Stops one service and keeps it stopped, until `resume`. */
  async pause(name: ServiceName): Promise<void> {
    await this.#processes.get(name)?.stop();
  }

  resume(name: ServiceName): void {
    this.#processes.get(name)?.start();
  }

  async pauseDatabase(): Promise<void> {
    await this.#database?.stop();
  }

  async resumeDatabase(): Promise<void> {
    await this.#database?.start();
  }

  async #startDatabase(port: number): Promise<string> {
    const { home, terminal } = this.#parts;
    const beganMs = Date.now();
    const database = new EmbeddedDatabase({
      dataDirectory: home.postgres,
      port,
      log: new RotatingLog(path.join(home.logs, 'postgresql.log')),
      onRestart: (reason, delayMs) => {
        terminal.line(`${reason}\n  It is started again in ${delayMs / 1000} s; services connect again by themselves.`);
      },
      onRestarted: () => {
        terminal.line(`${POSTGRES} runs again.`);
        this.#writeRunFile();
      },
      onLeftovers: (killed) => {
        terminal.line(`${killed} process(es) of the ${POSTGRES} before did not end with it, and were killed.`);
      },
    });
    this.#database = database;
    const adminUrl = await withTicking(terminal, () => `starting ${POSTGRES}`, database.start().then(ensureDatabase, sayWhy));
    terminal.line(`  ${POSTGRES.padEnd(11)} ready   ${secondsSince(beganMs)}`);
    return adminUrl;
  }

  #supervise(name: ServiceName, environment: Record<string, string>): SupervisedProcess {
    const { home, root, terminal } = this.#parts;
    let starts = 0;
    let replaced = new AbortController();
    const supervised = new SupervisedProcess(
      {
        name,
        script: scriptOf(root, name),
        nodeFlags: [...NODE_FLAGS, ...(isOnDataPath(name) ? [] : SMALL_HEAP_FLAGS)],
        environment,
        log: new RotatingLog(path.join(home.logs, `${name}.log`)),
        stopTimeoutMs: STOP_TIMEOUT_MS,
      },
      {
        onStarted: (pid) => {
          this.#writeRunFile();
          replaced.abort();
          replaced = new AbortController();
          if (++starts > 1) void this.#reportReturn(name, replaced.signal);
          void this.#replaceWhenFrozen(name, supervised, pid, replaced.signal);
        },
        onRestart: (death, delayMs) => {
          terminal.line(`${describe(death)} It is started again in ${delayMs / 1000} s.`);
          for (const line of death.lastLines) terminal.line(`    ${line}`);
        },
        onStartFailure: (death, reason) => {
          terminal.line(describe(death));
          for (const line of death.lastLines) terminal.line(`    ${line}`);
          this.#parts.onFatal(new StartError(`${name} cannot be started: ${reason}; its log is ${path.join(home.logs, `${name}.log`)}.`));
        },
      },
      this.#guardian,
    );
    return supervised;
  }

  async #untilReady(name: ServiceName, process: SupervisedProcess): Promise<void> {
    const { settings, home, terminal } = this.#parts;
    if (await becomesReady(this.#healthUrl(name, 'ready'), settings.startTimeoutMs, this.#stopping.signal)) return;
    for (const line of process.lastLines()) terminal.line(`    ${line}`);
    throw new StartError(
      `${name} did not become ready within ${settings.startTimeoutMs / 1000} s; its log is ${path.join(home.logs, `${name}.log`)}.`,
    );
  }

  /** @param replaced aborted when another process takes its place: the return is then that one's to report */
  async #reportReturn(name: ServiceName, replaced: AbortSignal): Promise<void> {
    const beganMs = Date.now();
    await this.#whileRunning(replaced, async (signal) => {
      if (await becomesReady(this.#healthUrl(name, 'ready'), this.#parts.settings.startTimeoutMs, signal))
        this.#parts.terminal.line(`${name} is ready again after ${secondsSince(beganMs)}.`);
    });
  }

  /** Kills the process when it does not answer any more, so that another one is started. */
  async #replaceWhenFrozen(name: ServiceName, process: SupervisedProcess, pid: number, replaced: AbortSignal): Promise<void> {
    const { startTimeoutMs, livenessTimeoutMs } = this.#parts.settings;
    await this.#whileRunning(replaced, async (signal) => {
      const url = this.#healthUrl(name, 'live');
      if (await becomesReady(url, startTimeoutMs, signal)) await becomesUnresponsive(url, livenessTimeoutMs, signal);
      this.#parts.terminal.line(`${name} does not answer its liveness probe: it is killed.`);
      process.replace(pid);
    });
  }

  /** Does `work` on a process until another one takes its place or the platform stops. */
  async #whileRunning(replaced: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const signal = AbortSignal.any([this.#stopping.signal, replaced]);
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #healthUrl(name: ServiceName, what: 'live' | 'ready'): string {
    return `${this.#addresses?.urlOf(name) ?? ''}/health/${what}`;
  }

  /** Tells people and tools which process is which. */
  #writeRunFile(): void {
    const services = Object.fromEntries(
      [...this.#processes].map(([name, process]) => [name, { pid: process.pid, url: this.#addresses?.urlOf(name) }]),
    );
    const content = {
      pid: process.pid,
      url: this.#addresses?.publicUrl,
      grpcAddress: this.#addresses?.grpcAddress,
      postgresql: { pid: this.#database?.pid ?? null },
      services,
    };
    try {
      writeFileSync(this.#parts.home.runFile, `${JSON.stringify(content, null, 2)}\n`);
    } catch (error) {
      // It only informs; a disk that is full by now must not stop the platform.
      this.#parts.terminal.line(
        `${this.#parts.home.runFile} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}).`,
      );
    }
  }
}

/** PostgreSQL says in one sentence why it cannot start. */
function sayWhy(error: unknown): never {
  throw new StartError(error instanceof Error ? error.message : String(error), { cause: error });
}

function describe(death: ProcessDeath): string {
  return `${death.name} ended unexpectedly (${death.how}).`;
}

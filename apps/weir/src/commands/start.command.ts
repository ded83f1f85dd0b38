import { Platform } from '../platform/platform.ts';
import { scriptOf } from '../platform/service-environment.ts';
import { SERVICES } from '../platform/services.ts';
import { seedDemonstration } from '../seed/seed.ts';
import type { LauncherSettings } from '../settings.ts';
import { StartError } from '../start-error.ts';
import { confirmFreshStart, removeState } from '../state/fresh-start.ts';
import { lockHome } from '../state/home-lock.ts';
import { makeHome, type Home } from '../state/home.ts';
import { leftBehind, untilNoneIsLeft } from '../state/left-behind.ts';
import { checkPort } from '../state/ports.ts';
import { secondsSince, withTicking, type Terminal } from '../terminal/terminal.ts';
import type { CommandContext } from './command-line.ts';
import { serveControl } from './control.ts';

export interface StartContext extends CommandContext {
  readonly settings: LauncherSettings;
  readonly home: Home;
  readonly terminal: Terminal;
  /** Delete all data first. */
  readonly isFresh: boolean;
  /** The deletion was confirmed on the command line. */
  readonly isConfirmed: boolean;
}

/** Services end within seconds when their launcher is killed; what hangs is killed after 20 s. */
const LEFT_BEHIND_TIMEOUT_MS = 30_000;

/** Starts the platform and keeps it running until it is told to stop. */
export async function start(context: StartContext): Promise<void> {
  const { home, settings } = context;
  const beganMs = Date.now();
  if (context.isFresh && settings.databaseAdminUrl !== undefined) {
    throw new StartError(
      '--fresh does not empty a PostgreSQL of your own (WEIR_DATABASE_ADMIN_URL): drop its schemas yourself, then delete the folder of WEIR_HOME.',
    );
  }
  if (settings.bus === 'kafka' && settings.kafkaBrokers === undefined) {
    throw new StartError('WEIR_BUS is kafka: name its brokers in WEIR_KAFKA_BROKERS, such as WEIR_KAFKA_BROKERS=127.0.0.1:9092.');
  }
  makeHome(home);
  const unlock = lockHome(home.lockFile, home.folder);
  try {
    await untilNoneIsLeftOf(context);
    if (context.isFresh) {
      await confirmFreshStart(home, context.isConfirmed);
      removeState(home);
      makeHome(home);
    }
    await checkPort(settings.host, settings.port, 'WEIR_PORT');
    await runUntilStopped(context, beganMs);
  } finally {
    unlock();
  }
}

async function runUntilStopped(context: StartContext, beganMs: number): Promise<void> {
  const { home, settings, terminal } = context;
  const end = new StopRequest(terminal);
  const platform = new Platform({ ...context, onFatal: (error) => end.fail(error) });
  end.onForce(() => platform.kill());
  terminal.line(`Weir is starting; its state is in ${home.folder}.`);
  try {
    await end.orUntil(
      (async () => {
        const started = await platform.start();
        await seedDemonstration({ ...started, home, root: context.root, terminal, signal: end.signal });
        terminal.line();
        terminal.line(`gRPC is served at ${started.addresses.grpcAddress}.`);
        terminal.line(
          `Weir is ready at ${started.addresses.publicUrl} (${secondsSince(beganMs)}). Ctrl-C stops it; the logs are in ${home.logs}.`,
        );
        serveControl(platform, started.addresses.publicUrl);
      })(),
    );
    await end.requested;
  } finally {
    terminal.line('Weir is stopping …');
    await platform.stop();
    end.close();
  }
  if (end.failure !== null) throw end.failure;
  terminal.line(`Weir has stopped${settings.databaseAdminUrl === undefined ? '; the next start finds all data again' : ''}.`);
}

/** Waits for services that a launcher which was killed left behind. */
async function untilNoneIsLeftOf({ home, root, terminal }: StartContext): Promise<void> {
  const scripts = new Map(SERVICES.map(({ name }) => [name, scriptOf(root, name)]));
  if (leftBehind(home.runFile, scripts).length === 0) return;
  await withTicking(
    terminal,
    () => 'waiting for processes of an earlier start, which was killed, to end',
    untilNoneIsLeft(home.runFile, scripts, LEFT_BEHIND_TIMEOUT_MS),
  );
}

/** npm passes Ctrl-C on to us although the terminal has sent it already; that is no second Ctrl-C. */
const SAME_SIGNAL_MS = 700;

/** Ctrl-C, SIGTERM, SIGHUP, the end of the process that started us, or something that cannot be kept running. */
class StopRequest {
  failure: StartError | null = null;
  readonly requested: Promise<void>;
  readonly #terminal: Terminal;
  readonly #abort = new AbortController();
  readonly #handlers: (() => void)[] = [];
  #force: () => Promise<void> = async () => undefined;
  #askedAtMs = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.requested = new Promise((resolve) => this.#abort.signal.addEventListener('abort', () => resolve()));
    for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) {
      const handler = (): void => this.#ask();
      process.on(event, handler);
      this.#handlers.push(() => process.off(event, handler));
    }
  }

  /** Aborted as soon as the platform must stop. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  onForce(force: () => Promise<void>): void {
    this.#force = force;
  }

  fail(error: StartError): void {
    this.failure ??= error;
    this.#abort.abort();
  }

  /** Waits for `work`, but no longer than until the stop; what it then throws is of no interest. */
  async orUntil(work: Promise<void>): Promise<void> {
    try {
      await Promise.race([work, this.requested]);
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    }
    work.catch(() => undefined);
  }

  close(): void {
    for (const off of this.#handlers) off();
    if (process.connected) process.disconnect();
  }

  #ask(): void {
    if (!this.#abort.signal.aborted) {
      this.#askedAtMs = Date.now();
      this.#abort.abort();
      return;
    }
    if (Date.now() - this.#askedAtMs < SAME_SIGNAL_MS) return;
    this.#terminal.line('Stopping at once.');
    void this.#force().finally(() => process.exit(130));
  }
}

import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { AppError, isErrorCode } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import type { CallRestriction, FromServing, PlacedVersion, ServingSettings } from '../serving/control-messages.ts';
import { readFlightRecord, type Flight } from '../serving/versions/flight-record.ts';
import type { CrashKind } from './crash-tracker.ts';
import { createFileFor, type ServingAccount } from './serving-accounts.ts';
import { ServingChild } from './serving-child.ts';

/** Waits between attempts to start a process again: doubling from the first to the last. */
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 30_000;
/** A process that lived this long was not at fault for being started. */
const HEALTHY_MS = 60_000;
/** Longest wait for a process that may have to be started more than once. */
const START_PATIENCE_MS = 120_000;
/** A load brings gigabytes from disk; the run limit holds for what ONNX Runtime does of it. */
const LOAD_TIMEOUT_MS = 10 * 60_000;
/** Signals of a failed instruction: the run or load that executed it is the cause. */
const FAULT_SIGNALS: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGFPE']);

/** A version in a group, and where it stands. */
export interface GroupVersion {
  placed: PlacedVersion;
  /** `cold`: calls are taken, the first one waits until it is in memory. */
  state: 'starting' | 'loading' | 'in-memory' | 'unloading' | 'cold';
  /** Was it ever loaded, so that it is known to work? */
  isProven: boolean;
  /** Was it in memory, so that it is brought back when the process has to be started again? */
  isWanted: boolean;
  /** Memory that it takes: measured when it is loaded, else what its files tell. */
  bytes: number;
  idleMs: number;
  isBusy: boolean;
}

export interface ServingGroupOptions {
  /** Which versions share it: a trust class, or a suspect alone. */
  readonly key: string;
  readonly settings: (flightFile: string) => ServingSettings;
  readonly flightDirectory: string;
  readonly memoryLimitBytes: number;
  readonly account: ServingAccount | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Where calls go, by the port of the process. */
  readonly urlOf: (port: number) => string;
  /** Makes room and has the version loaded; see the fleet. */
  readonly onWanted: (version: GroupVersion) => void;
  readonly onAsked: (version: GroupVersion, what: 'load' | 'unload') => void;
  /** The restrictions in force for calls of any version. */
  readonly restrictions: () => readonly CallRestriction[];
  /** The process ended with these loads and runs in progress, or one of them hangs. */
  readonly onCrash: (kind: CrashKind, running: readonly Flight[]) => void;
  readonly onChange: () => void;
}

/** Settles when a load or an unload is done. */
interface Control {
  readonly kind: 'load' | 'unload' | 'remove' | 'export-sequences' | 'import-sequences';
  readonly done: PromiseWithResolvers<number>;
}

let flights = 0;

/** One serving process and the versions in it; starts another process when this one ends. */
export class ServingGroup {
  readonly #options: ServingGroupOptions;
  readonly #versions = new Map<string, GroupVersion>();
  readonly #controls = new Map<string, Control>();
  readonly #metrics = new Map<number, PromiseWithResolvers<unknown>>();
  #child: { readonly process: ServingChild; readonly flightFile: string; readonly startedAtMs: number } | null = null;
  #url: string | null = null;
  #started = Promise.withResolvers<void>();
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #requests = 0;
  #rssBytes = 0;
  #sequenceBytes = 0;

  constructor(options: ServingGroupOptions) {
    this.#options = options;
    this.#start();
  }

  get key(): string {
    return this.#options.key;
  }

  get account(): ServingAccount | null {
    return this.#options.account;
  }

  /** Where calls go; null while the process starts. */
  get url(): string | null {
    return this.#url;
  }

  get rssBytes(): number {
    return this.#rssBytes;
  }

  /** Bytes of the states of all sequences. */
  get sequenceBytes(): number {
    return this.#sequenceBytes;
  }

  versions(): GroupVersion[] {
    return [...this.#versions.values()];
  }

  get(versionId: string): GroupVersion | undefined {
    return this.#versions.get(versionId);
  }

  /** Takes calls for a version from now on. */
  add(placed: PlacedVersion, bytes: number): GroupVersion {
    const version: GroupVersion = {
      placed,
      state: this.#url === null ? 'starting' : 'cold',
      isProven: false,
      isWanted: false,
      bytes,
      idleMs: 0,
      isBusy: false,
    };
    this.#versions.set(placed.versionId, version);
    if (this.#url !== null) {
      this.#child?.process.send({ kind: 'place', version: placed });
      this.restrict();
    }
    return version;
  }

  /** The model of a version has another visibility. */
  update(versionId: string, visibility: PlacedVersion['visibility']): void {
    const version = this.#versions.get(versionId);
    if (version === undefined) return;
    version.placed = { ...version.placed, visibility };
    if (this.#url !== null) this.#child?.process.send({ kind: 'update', versionId, visibility });
  }

  /** Sends the process the restrictions in force for its versions. */
  restrict(): void {
    const restrictions = this.#options.restrictions().filter(({ versionId }) => this.#versions.has(versionId));
    if (this.#url !== null) this.#child?.process.send({ kind: 'restrict', restrictions });
  }

  /**
   * Moves the sequences of a version to the process of another group. Calls of these sequences are refused here from then on.
   *
   * @returns how many were moved
   * @throws worker.unreachable when one of the processes ends meanwhile
   */
  async moveSequences(versionId: string, successor: ServingGroup): Promise<number> {
    const [from, to] = [this.#versions.get(versionId), successor.#versions.get(versionId)];
    if (from === undefined || to === undefined) return 0;
    const file = `${this.#options.flightDirectory}/${process.pid}-sequences-${++flights}`;
    createFileFor(this.#options.account, file);
    try {
      if ((await this.#control(from, 'export-sequences', file)) === 0) return 0;
      await successor.started();
      return await successor.#control(to, 'import-sequences', file);
    } finally {
      await rm(file, { force: true });
    }
  }

  /**
   * Brings a version into memory.
   *
   * @returns bytes of memory that loading it took, as the process measured
   * @throws AppError what the serving process says, or worker.unreachable when it ended meanwhile
   */
  async load(version: GroupVersion): Promise<number> {
    version.state = 'loading';
    try {
      const measuredBytes = await this.#control(version, 'load');
      version.bytes = Math.max(version.bytes, measuredBytes);
      version.state = 'in-memory';
      version.isProven = true;
      version.isWanted = true;
      version.idleMs = 0;
      return measuredBytes;
    } catch (error) {
      if (this.#versions.get(version.placed.versionId) === version && this.#url !== null) version.state = 'cold';
      throw error;
    } finally {
      this.#options.onChange();
    }
  }

  /** Frees a version's memory; calls for it are still taken. */
  async unload(version: GroupVersion): Promise<void> {
    version.state = 'unloading';
    version.isWanted = false;
    await this.#control(version, 'unload');
    if (version.state === 'unloading') version.state = 'cold';
  }

  /** Tells the calls that wait for a version that there is no room for it. */
  refuse(version: GroupVersion): void {
    this.#child?.process.send({ kind: 'refuse', versionId: version.placed.versionId });
  }

  async remove(versionId: string): Promise<void> {
    const version = this.#versions.get(versionId);
    if (version === undefined) return;
    this.#versions.delete(versionId);
    if (this.#url !== null) await this.#control(version, 'remove').catch(() => undefined);
  }

  /** What the process measures, in prom-client's JSON; null when it does not answer in time. */
  async metrics(timeoutMs: number): Promise<unknown> {
    if (this.#url === null) return null;
    const request = ++this.#requests;
    const answer = Promise.withResolvers<unknown>();
    this.#metrics.set(request, answer);
    const timer = setTimeout(() => answer.resolve(null), timeoutMs);
    this.#child?.process.send({ kind: 'report-metrics', request });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#metrics.delete(request);
    }
  }

  /** Does not count a version among its own any more, without a word to the process, which has ended or is about to. */
  forget(versionId: string): void {
    this.#versions.delete(versionId);
  }

  /**
   * Resolves when calls can be taken.
   *
   * @throws worker.unreachable when the process does not start in time
   */
  async started(): Promise<void> {
    if (this.#url !== null) return;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new AppError('worker.unreachable', { retryAfterMs: 1_000 })), START_PATIENCE_MS);
    try {
      await Promise.race([this.#started.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the process: at once, or after the calls that it has. */
  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restartTimer);
    this.#failControls();
    await this.#child?.process.drain(drainMs);
  }

  #start(): void {
    if (this.#isClosed) return;
    const { settings, flightDirectory, memoryLimitBytes, account, environment, logger } = this.#options;
    const flightFile = `${flightDirectory}/${process.pid}-${++flights}`;
    const child: ServingChild = new ServingChild({
      settings: settings(flightFile),
      memoryLimitBytes,
      account,
      environment,
      logger,
      onMessage: (message) => {
        if (this.#child?.process === child) this.#receive(message);
      },
      onExit: (how) => this.#exited(child, flightFile, how),
    });
    this.#child = { process: child, flightFile, startedAtMs: performance.now() };
    child.listening().then(
      (port) => this.#listening(child, port),
      () => undefined,
    );
  }

  #listening(child: ServingChild, port: number): void {
    if (this.#child?.process !== child) return;
    this.#url = this.#options.urlOf(port);
    this.restrict();
    for (const version of this.#versions.values()) {
      child.send({ kind: 'place', version: version.placed });
      version.state = 'cold';
      // What was in memory comes back; calls that come before wait for it here.
      if (version.isWanted) this.#options.onWanted(version);
    }
    this.#started.resolve();
    this.#options.onChange();
  }

  #exited(child: ServingChild, flightFile: string, how: string): void {
    const running = readFlightRecord(flightFile);
    rmSync(flightFile, { force: true });
    if (this.#child?.process !== child) return;
    const { logger, onCrash, onChange } = this.#options;
    const livedMs = performance.now() - this.#child.startedAtMs;
    this.#child = null;
    // Whoever waits for a process that ended while it started goes on waiting for the next one.
    if (this.#url !== null) this.#started = Promise.withResolvers();
    this.#url = null;
    for (const version of this.#versions.values()) version.state = 'starting';
    this.#failControls();
    if (this.#isClosed) return;
    logger.error({ how, running }, 'a serving process has ended');
    // Callers that crash it are refused and versions that crash it are quarantined: only a process that ends by itself has to wait.
    if (livedMs > HEALTHY_MS || running.length > 0) this.#restarts = 0;
    const waitMs = this.#restarts === 0 ? 0 : Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** this.#restarts);
    this.#restarts++;
    this.#restartTimer = setTimeout(() => this.#start(), waitMs);
    onCrash(FAULT_SIGNALS.has(how) ? 'fault' : 'killed', running);
    onChange();
  }

  #receive(message: FromServing): void {
    const { onWanted, onAsked, onCrash, logger } = this.#options;
    switch (message.kind) {
      case 'listening':
        return;
      case 'loaded':
        this.#settle(message.versionId, 'load', message.memoryBytes);
        return;
      case 'not-loaded':
        this.#settle(message.versionId, 'load', null, errorOf(message.code, message.message));
        return;
      case 'unloaded':
        this.#settle(message.versionId, 'unload', 0);
        return;
      case 'removed':
        this.#settle(message.versionId, 'remove', 0);
        return;
      case 'sequences-exported':
        this.#settle(message.versionId, 'export-sequences', message.sequences);
        return;
      case 'sequences-imported':
        this.#settle(message.versionId, 'import-sequences', message.sequences);
        return;
      case 'wanted':
      case 'asked': {
        const version = this.#versions.get(message.versionId);
        if (version === undefined) return;
        if (message.kind === 'wanted') onWanted(version);
        else onAsked(version, message.what);
        return;
      }
      case 'alive':
        this.#rssBytes = message.rssBytes;
        this.#sequenceBytes = message.sequenceBytes;
        for (const { versionId, idleMs, isBusy } of message.versions) {
          const version = this.#versions.get(versionId);
          if (version !== undefined) Object.assign(version, { idleMs, isBusy });
        }
        return;
      case 'broken':
        logger.error({ versionId: message.versionId, reason: message.reason }, 'a serving process is replaced');
        onCrash('hang', message.running.length === 0 ? [loadOf(message.versionId)] : message.running);
        return;
      case 'metrics':
        this.#metrics.get(message.request)?.resolve(message.metrics);
        return;
    }
  }

  async #control(version: GroupVersion, kind: Control['kind'], file = ''): Promise<number> {
    const { versionId } = version.placed;
    const key = `${kind} ${versionId}`;
    const done = Promise.withResolvers<number>();
    if (this.#url === null) throw new AppError('worker.unreachable');
    this.#controls.set(key, { kind, done });
    const timer = setTimeout(() => done.reject(new AppError('worker.unreachable')), LOAD_TIMEOUT_MS);
    this.#child?.process.send(kind === 'export-sequences' || kind === 'import-sequences' ? { kind, versionId, file } : { kind, versionId });
    try {
      return await done.promise;
    } finally {
      clearTimeout(timer);
      this.#controls.delete(key);
    }
  }

  #settle(versionId: string, kind: Control['kind'], bytes: number | null, error?: AppError): void {
    const control = this.#controls.get(`${kind} ${versionId}`);
    if (bytes !== null) control?.done.resolve(bytes);
    else control?.done.reject(error);
  }

  #failControls(): void {
    for (const { done } of this.#controls.values()) done.reject(new AppError('worker.unreachable', { retryAfterMs: 1_000 }));
    this.#controls.clear();
  }
}

/** A version that hangs with no run in progress hangs in its load. */
function loadOf(versionId: string): Flight {
  return { versionId, tenantId: null, shapeClass: '', elements: 0 };
}

/** The error that a serving process told, as far as it is one of the table. */
function errorOf(code: string, message: string): AppError {
  return isErrorCode(code) ? new AppError(code, { message }) : new AppError('model.package_invalid', { message });
}

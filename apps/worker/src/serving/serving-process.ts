import { InternalTokenVerifier } from '@weir/access';
import { AppError, toAppError } from '@weir/kernel';
import { createLogger, createMetrics, startTracing, type Logger, type Registry, type Tracing } from '@weir/platform/telemetry';
import type { AddressInfo } from 'node:net';
import type { Edge } from '../open-inference/edge.ts';
import { ServingMetrics } from '../statistics/serving-metrics.ts';
import { VersionStatistics } from '../statistics/version-statistics.ts';
import { ALIVE_INTERVAL_MS, type FromServing, type PlacedVersion, type ServingSettings, type ToServing } from './control-messages.ts';
import { servingEdge } from './open-inference/serving-edge.ts';
import { RunSlots } from './runtime/run-slots.ts';
import { CallRestrictions } from './versions/call-restrictions.ts';
import { FlightRecord } from './versions/flight-record.ts';
import { readSequences, writeSequences } from './tasks/sequence-file.ts';
import { runMemoryBytes } from './versions/process-memory.ts';
import { SequenceStore } from './tasks/sequences.ts';
import { ServedVersion } from './versions/served-version.ts';
import { ServedVersions, type ServedEntry } from './versions/served-versions.ts';

/** Longest text of an error that travels to the supervisor. */
const MAX_MESSAGE_LENGTH = 500;
/** Calls of one sequence that may wait for the one before them: a caller who streams sends a few ahead. */
const MAX_CALLS_BEHIND = 16;

/** Longest wait for the calls of sequences that are in progress when the sequences are moved. */
const EXPORT_TIMEOUT_MS = 5_000;

/** Ends this process. `process.exit` would wait for its threads, and a run that never ends keeps one for ever. */
export function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** One serving process: does what its supervisor says, and answers calls on a port of its own. */
export class ServingProcess {
  readonly #settings: ServingSettings;
  readonly #send: (message: FromServing) => void;
  readonly #logger: Logger;
  readonly #registry: Registry;
  readonly #tracing: Tracing;
  readonly #metrics: ServingMetrics;
  readonly #flights: FlightRecord;
  readonly #restrictions = new CallRestrictions();
  readonly #slots: RunSlots;
  readonly #versions = new ServedVersions();
  readonly #sequences: SequenceStore;
  readonly #edge: Edge;
  readonly #controls = new Map<string, PromiseWithResolvers<void>>();
  #alive: NodeJS.Timeout | undefined;

  constructor(settings: ServingSettings, send: (message: FromServing) => void) {
    const service = 'worker';
    this.#settings = settings;
    this.#send = send;
    this.#logger = createLogger({ service, instanceId: settings.instanceId, level: settings.logLevel });
    this.#registry = createMetrics(service);
    this.#tracing = startTracing({ service, otlpEndpoint: settings.otlpEndpoint });
    this.#metrics = new ServingMetrics(this.#registry, () =>
      this.#versions.all().map(({ served, memoryBytes }) => ({
        versionId: served.placed.versionId,
        model: served.placed.model,
        version: served.placed.version,
        queueLength: served.queueLength,
        memoryBytes,
      })),
    );
    this.#flights = new FlightRecord(settings.flightFile);
    this.#slots = new RunSlots(settings.slots);
    const { maxSequences, sequenceBytes, sequenceIdleMs } = settings;
    this.#sequences = new SequenceStore({
      maxSequences,
      maxBytes: sequenceBytes,
      idleMs: sequenceIdleMs,
      maxWaiting: MAX_CALLS_BEHIND,
    });
    this.#edge = servingEdge({
      settings,
      versions: this.#versions,
      sequences: this.#sequences,
      verifier: new InternalTokenVerifier(service, settings.keySet),
      logger: this.#logger,
      control: (versionId, what, signal) => this.#control(versionId, what, signal),
    });
  }

  async start(): Promise<void> {
    await this.#edge.app.listen({ host: this.#settings.host, port: 0 });
    this.#send({ kind: 'listening', port: (this.#edge.app.server.address() as AddressInfo).port });
    this.#alive = setInterval(() => this.#tellAlive(), ALIVE_INTERVAL_MS);
  }

  /** Does what the supervisor says. Loads go on side by side with everything else. */
  handle(message: Exclude<ToServing, { kind: 'configure' }>): void {
    switch (message.kind) {
      case 'place':
        this.#place(message.version);
        return;
      case 'update':
        this.#versions.byId(message.versionId)?.served.update(message.visibility);
        return;
      case 'load':
        void this.#load(message.versionId);
        return;
      case 'unload':
        void this.#unload(message.versionId);
        return;
      case 'refuse':
        this.#versions.byId(message.versionId)?.served.refuse(new AppError('worker.overloaded', { retryAfterMs: 1_000 }));
        return;
      case 'remove':
        void this.#remove(message.versionId);
        return;
      case 'restrict':
        this.#restrictions.replace(message.restrictions);
        return;
      case 'export-sequences':
        void this.#exportSequences(message.versionId, message.file);
        return;
      case 'import-sequences':
        void this.#importSequences(message.versionId, message.file);
        return;
      case 'report-metrics':
        void this.#registry.getMetricsAsJSON().then((metrics) => this.#send({ kind: 'metrics', request: message.request, metrics }));
        return;
      case 'drain':
        void this.drain(message.timeoutMs);
        return;
    }
  }

  /** Lets the calls under way finish, then ends the process. */
  async drain(timeoutMs: number): Promise<void> {
    clearInterval(this.#alive);
    setTimeout(endAtOnce, timeoutMs).unref();
    await this.#edge.close();
    await Promise.all(this.#versions.all().map(({ served }) => served.remove()));
    await this.#tracing.shutdown();
    this.#flights.close();
    endAtOnce();
  }

  #place(placed: PlacedVersion): void {
    const { settings } = { settings: this.#settings };
    const { versionId } = placed;
    const statistics = new VersionStatistics(this.#metrics, placed);
    const { queueLength, queueWaitMs, batchMs, maxBatchRows, runLimitMs, maxElements, slots } = settings;
    const { maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds } = settings;
    const served = new ServedVersion({
      placed,
      limits: {
        queueLength,
        queueWaitMs,
        batchMs,
        maxBatchRows,
        runLimitMs,
        runBytes: runMemoryBytes(slots),
        maxOutputElements: maxElements,
      },
      taskLimits: { maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds },
      slots: this.#slots,
      intraOpThreads: settings.intraOpThreads,
      executionProviders: settings.executionProviders,
      maxInstances: settings.slots,
      observer: statistics,
      record: (callers) => this.#flights.began(versionId, callers),
      admit: (tenantId, shapeClass) => this.#restrictions.admit(versionId, tenantId, shapeClass),
      onWanted: () => this.#send({ kind: 'wanted', versionId }),
      onBroken: (reason) => {
        this.#logger.error({ versionId, reason }, 'this process has to be replaced');
        this.#send({ kind: 'broken', versionId, reason: reason.slice(0, MAX_MESSAGE_LENGTH), running: this.#flights.of(versionId) });
      },
    });
    this.#versions.add({ served, statistics, memoryBytes: 0 });
  }

  async #load(versionId: string): Promise<void> {
    const entry = this.#versions.byId(versionId);
    if (entry === undefined) return;
    const { placed } = entry.served;
    const startedAtMs = performance.now();
    try {
      entry.memoryBytes = entry.served.isInMemory ? entry.memoryBytes : await entry.served.load();
      this.#metrics.loaded(placed, 'ready', (performance.now() - startedAtMs) / 1000);
      this.#send({ kind: 'loaded', versionId, memoryBytes: entry.memoryBytes });
      this.#settle(versionId, 'load');
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.kind === 'internal') this.#logger.error({ versionId, err: error.cause ?? error }, 'a version could not be loaded');
      entry.served.refuse(new AppError('model.not_ready'));
      this.#metrics.loaded(placed, 'failed', (performance.now() - startedAtMs) / 1000);
      this.#send({ kind: 'not-loaded', versionId, code: error.code, message: error.message.slice(0, MAX_MESSAGE_LENGTH) });
      this.#settle(versionId, 'load', error);
    }
  }

  async #unload(versionId: string): Promise<void> {
    const entry = this.#versions.byId(versionId);
    if (entry === undefined) return;
    await entry.served.unload();
    entry.memoryBytes = 0;
    this.#send({ kind: 'unloaded', versionId });
    this.#settle(versionId, 'unload');
  }

  async #remove(versionId: string): Promise<void> {
    this.#sequences.forget(versionId);
    await this.#versions.remove(versionId)?.served.remove();
    this.#send({ kind: 'removed', versionId });
  }

  async #exportSequences(versionId: string, file: string): Promise<void> {
    let sequences = 0;
    try {
      const moved = await this.#sequences.exportAll(versionId, EXPORT_TIMEOUT_MS);
      await writeSequences(file, moved);
      sequences = moved.length;
    } catch (error) {
      this.#logger.error({ versionId, err: error }, 'the sequences of a version could not be moved');
    }
    this.#send({ kind: 'sequences-exported', versionId, sequences });
  }

  async #importSequences(versionId: string, file: string): Promise<void> {
    let sequences = 0;
    try {
      const moved = await readSequences(file, 2 * this.#settings.sequenceBytes);
      this.#sequences.importAll(moved);
      sequences = moved.length;
    } catch (error) {
      this.#logger.error({ versionId, err: error }, 'the sequences of a version could not be taken over');
    }
    this.#send({ kind: 'sequences-imported', versionId, sequences });
  }

  /** Asks the supervisor on behalf of an operator, and waits until it is done. */
  async #control(versionId: string, what: 'load' | 'unload', signal: AbortSignal): Promise<void> {
    const key = `${what} ${versionId}`;
    let control = this.#controls.get(key);
    if (control === undefined) {
      control = Promise.withResolvers();
      control.promise.catch(() => undefined);
      this.#controls.set(key, control);
      this.#send({ kind: 'asked', versionId, what });
    }
    const late = Promise.withResolvers<never>();
    const giveUp = (): void => late.reject(new AppError('request.timeout'));
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await Promise.race([control.promise, late.promise]);
    } finally {
      signal.removeEventListener('abort', giveUp);
      this.#controls.delete(key);
    }
  }

  #settle(versionId: string, what: 'load' | 'unload', error?: AppError): void {
    const control = this.#controls.get(`${what} ${versionId}`);
    if (error === undefined) control?.resolve();
    else control?.reject(error);
  }

  #tellAlive(): void {
    const used = ({ served }: ServedEntry) => ({ versionId: served.placed.versionId, idleMs: served.idleMs, isBusy: served.isBusy });
    const { bytes: sequenceBytes } = this.#sequences;
    this.#send({ kind: 'alive', rssBytes: process.memoryUsage.rss(), sequenceBytes, versions: this.#versions.all().map(used) });
  }
}

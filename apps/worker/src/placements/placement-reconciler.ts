import { isDeepStrictEqual } from 'node:util';
import type { PlacementState, WorkerState } from '@weir/contracts';
import { NOT_FOUND } from '../open-inference/guard.ts';
import { AppError, ERROR_KINDS, toAppError, type Clock } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import type { ServedState } from '../serving-processes/serving-fleet.ts';
import type { HeldVersion, VersionLoader } from './version-loader.ts';

/** Waits between attempts of what can succeed later: doubling from the first to the last. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
const MAX_ERROR_LENGTH = 500;
/** Versions that are fetched and loaded at once. */
const LOADS_AT_ONCE = 4;

export interface PlacementReconcilerOptions {
  readonly loader: Pick<VersionLoader, 'load' | 'update' | 'unload'>;
  /** Where a version that was loaded stands now: its process may have ended since. */
  readonly stateOf: (versionId: string) => ServedState;
  /** Forgets the crashes of a version; loads it when it was loaded before. */
  readonly revive: (versionId: string) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observe?: { loaded(outcome: 'ready' | 'retry' | 'failed'): void };
}

type LoadedVersionState = WorkerState['versions'][number];

interface Entry {
  placement: PlacementState;
  state: LoadedVersionState['state'];
  error: AppError | undefined;
  held: HeldVersion | null;
  attempts: number;
  /** Not before this; a failure that no retry helps waits for ever. */
  retryAtMs: number;
  isBeingLoaded: boolean;
  /** Settled with the next attempt. */
  readonly waiting: Set<PromiseWithResolvers<void>>;
}

/**
 * Makes what is loaded equal to what is placed. It looks at the whole wish each time, not at changes, so that
 * nothing is missed: wakes that come while it works make it look again. A tenant's versions are loaded one after the other,
 * which tells what memory each takes; those of different tenants side by side, so that a load that hangs holds up nobody else.
 */
export class PlacementReconciler {
  readonly #options: PlacementReconcilerOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #stopping = new AbortController();
  /** Loads under way, by the tenant that owns the version. */
  readonly #loads = new Map<string, Promise<void>>();
  #desired: ReadonlyMap<string, PlacementState> = new Map();
  #onChange: () => void = () => undefined;
  #working: Promise<void> | null = null;
  #isStale = false;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(options: PlacementReconcilerOptions) {
    this.#options = options;
  }

  /** What this worker says of its versions. */
  states(): LoadedVersionState[] {
    return [...this.#entries].map(([versionId, { held, state, error }]) =>
      held === null
        ? { versionId, state, ...(error === undefined ? {} : { error: error.message.slice(0, MAX_ERROR_LENGTH) }) }
        : { versionId, ...this.#options.stateOf(versionId) },
    );
  }

  /** Is a version still to be loaded: placed here, not loaded, and not failed for good? */
  isLoading(versionId: string): boolean {
    const entry = this.#entries.get(versionId);
    return entry === undefined ? this.#desired.has(versionId) : entry.held === null && entry.state === 'loading';
  }

  /** Called whenever `states` has changed. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Sets what is to be loaded, by version. */
  want(desired: ReadonlyMap<string, PlacementState>): void {
    this.#desired = desired;
    this.#wake();
  }

  /**
   * The version of a model that is placed here, without `version` the one that was placed last.
   *
   * @throws model.not_found
   */
  find(modelId: string, version?: string): PlacementState {
    const placed = [...this.#desired.values()].filter(
      (one) => one.modelId === modelId && (version === undefined || one.version === version),
    );
    const found = placed.at(-1);
    if (found === undefined) throw new AppError('model.not_found', { message: NOT_FOUND });
    return found;
  }

  /**
   * Loads a version at once because an operator asks for it: earlier failures and crashes no longer count.
   *
   * @throws model.not_found, request.timeout, why it cannot be loaded
   */
  async loadNow(modelId: string, version: string | undefined, signal: AbortSignal): Promise<void> {
    const { versionId } = this.find(modelId, version);
    await this.#options.revive(versionId);
    const entry = this.#entries.get(versionId);
    if (entry === undefined) throw new AppError('model.not_ready');
    if (entry.held !== null) return;
    Object.assign(entry, { attempts: 0, retryAtMs: 0, error: undefined });
    const settled = Promise.withResolvers<void>();
    const late = (): void => settled.reject(new AppError('request.timeout'));
    entry.waiting.add(settled);
    signal.addEventListener('abort', late, { once: true });
    this.#wake();
    try {
      await settled.promise;
    } finally {
      entry.waiting.delete(settled);
      signal.removeEventListener('abort', late);
    }
  }

  /** Resolves when nothing is under way; what failed may still be tried again later. */
  async settled(): Promise<void> {
    while (this.#working !== null || this.#loads.size > 0) await Promise.all([this.#working, ...this.#loads.values()]);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#retryTimer);
    await this.settled();
  }

  #wake(): void {
    this.#isStale = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
      // A wish may have come between the last look and here.
      if (this.#isStale && !this.#stopping.signal.aborted) this.#wake();
    });
  }

  async #work(): Promise<void> {
    while (this.#isStale && !this.#stopping.signal.aborted) {
      this.#isStale = false;
      await this.#unloadUnwanted();
      // A new wish comes first: what is no longer wanted need not be fetched.
      if (!this.#isStale) this.#loadWanted();
    }
    this.#scheduleRetry();
  }

  async #unloadUnwanted(): Promise<void> {
    for (const [versionId, entry] of this.#entries) {
      const wanted = this.#desired.get(versionId);
      if (wanted !== undefined && isSamePackage(wanted, entry.placement)) {
        if (entry.held !== null && wanted.visibility !== entry.placement.visibility) this.#options.loader.update(wanted);
        entry.placement = wanted;
        continue;
      }
      // When it is loaded, it is looked at again.
      if (entry.isBeingLoaded) continue;
      const { held } = entry;
      this.#entries.delete(versionId);
      this.#onChange();
      if (held === null) continue;
      await this.#options.loader.unload(held);
      this.#options.logger.info({ versionId }, 'version unloaded');
    }
  }

  #loadWanted(): void {
    if (this.#stopping.signal.aborted) return;
    for (const [versionId, placement] of this.#desired) {
      if (this.#loads.size >= LOADS_AT_ONCE) return;
      const { ownerTenantId } = placement;
      if (this.#loads.has(ownerTenantId)) continue;
      // Equal packages have one folder on disk, which each load makes anew.
      if (placement.files.length > 0 && this.#areBeingLoaded(placement.files)) continue;
      const entry = this.#entries.get(versionId) ?? newEntry(placement);
      if (entry.held !== null || entry.retryAtMs > this.#options.clock.now()) continue;
      entry.placement = placement;
      entry.isBeingLoaded = true;
      this.#entries.set(versionId, entry);
      this.#onChange();
      const load = this.#load(entry).finally(() => {
        entry.isBeingLoaded = false;
        this.#loads.delete(ownerTenantId);
        this.#onChange();
        this.#wake();
      });
      this.#loads.set(ownerTenantId, load);
    }
  }

  #areBeingLoaded(files: PlacementState['files']): boolean {
    return [...this.#entries.values()].some((entry) => entry.isBeingLoaded && haveSameContent(entry.placement.files, files));
  }

  async #load(entry: Entry): Promise<void> {
    const { loader, clock, logger, observe } = this.#options;
    const { versionId, modelId, version } = entry.placement;
    const { placement } = entry;
    try {
      entry.held = await loader.load(placement, this.#stopping.signal);
      // The placement may have been announced again during the load.
      if (entry.placement.visibility !== placement.visibility) loader.update(entry.placement);
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      const error = toAppError(thrown);
      const isRetryable = ERROR_KINDS[error.kind].isRetryable || error.kind === 'internal';
      entry.error = error;
      entry.state = isRetryable && error.code !== 'model.quarantined' ? 'loading' : 'failed';
      entry.retryAtMs = isRetryable ? clock.now() + retryDelayMs(error, entry.attempts++) : Infinity;
      for (const { reject } of entry.waiting) reject(error);
      observe?.loaded(isRetryable ? 'retry' : 'failed');
      logger.error({ versionId, modelId, version, isRetryable, err: error }, 'version not loaded');
      return;
    }
    entry.state = 'ready';
    entry.error = undefined;
    for (const { resolve } of entry.waiting) resolve();
    observe?.loaded('ready');
    logger.info({ versionId, modelId, version }, 'version loaded');
  }

  #scheduleRetry(): void {
    clearTimeout(this.#retryTimer);
    if (this.#stopping.signal.aborted) return;
    const next = Math.min(...[...this.#entries.values()].filter((entry) => entry.held === null).map((entry) => entry.retryAtMs));
    if (next < Infinity) this.#retryTimer = setTimeout(() => this.#wake(), Math.max(0, next - this.#options.clock.now()));
  }
}

function newEntry(placement: PlacementState): Entry {
  return { placement, state: 'loading', error: undefined, held: null, attempts: 0, retryAtMs: 0, isBeingLoaded: false, waiting: new Set() };
}

/** A quarantine ends at its own time. */
function retryDelayMs({ code, retryAfterMs }: AppError, attempts: number): number {
  if (code === 'model.quarantined' && retryAfterMs !== undefined) return retryAfterMs;
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempts);
}

/** A version never changes, but where its files come from may: that alone is no reason to load it again. */
function isSamePackage(a: PlacementState, b: PlacementState): boolean {
  if (a.task !== b.task || a.modelId !== b.modelId || a.version !== b.version) return false;
  return isDeepStrictEqual(a.backend, b.backend) && haveSameContent(a.files, b.files);
}

function haveSameContent(a: PlacementState['files'], b: PlacementState['files']): boolean {
  const digests = new Map(a.map((file) => [file.path, file.sha256]));
  return a.length === b.length && b.every((file) => digests.get(file.path) === file.sha256);
}

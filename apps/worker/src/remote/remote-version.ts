import type { PlacementState, RemoteBackEnd } from '@weir/contracts';
import { AppError, toAppError } from '@weir/kernel';
import type { ModelMetadata } from '@weir/open-inference';
import { currentSpanParent, recordSpan, type Logger } from '@weir/platform/telemetry';
import type { Audience } from '../open-inference/guard.ts';
import type { EdgeAnswer, EdgeCall, EdgeVersion } from '../open-inference/edge.ts';
import type { VersionStatistics } from '../statistics/version-statistics.ts';
import { CallQueue } from './call-queue.ts';
import type { RemoteServer } from './remote-server.ts';
import type { SecretFolder } from './secret-folder.ts';
import { ServerRefusal } from './upstream-error.ts';

/** Longest look at whether a server is ready. */
const LOOK_TIMEOUT_MS = 5_000;
/** Waits between looks at a server that is not ready: doubling from the first to the last. */
const FIRST_LOOK_AGAIN_MS = 500;
const LAST_LOOK_AGAIN_MS = 30_000;
const NOT_READY_RETRY_MS = 1_000;
const MAX_PROBLEM_LENGTH = 500;

export interface RemoteVersionOptions {
  readonly placement: Omit<PlacementState, 'backend'> & { readonly backend: RemoteBackEnd };
  readonly server: RemoteServer;
  readonly secrets: Pick<SecretFolder, 'read'>;
  readonly statistics: VersionStatistics;
  readonly concurrency: number;
  readonly queueLength: number;
  readonly queueWaitMs: number;
  readonly healthIntervalMs: number;
  readonly logger: Logger;
  /** Called whenever `state` has changed. */
  readonly onChange: () => void;
}

/** Where the server stands, as far as the version goes. */
export type RemoteState =
  | { readonly state: 'ready' }
  | { readonly state: 'loading'; readonly error?: string }
  | { readonly state: 'failed'; readonly error: string };

/**
 * A version that another server runs. It is looked at regularly, and at once when a call could not reach it; while it is
 * not ready no call is sent there, so that callers are refused at once instead of waiting for a server that is gone.
 */
export class RemoteVersion implements EdgeVersion {
  readonly #options: RemoteVersionOptions;
  readonly #queue: CallQueue;
  readonly #stopping = new AbortController();
  #visibility: PlacementState['visibility'];
  #state: RemoteState = { state: 'loading' };
  #looking: Promise<void> | null = null;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RemoteVersionOptions) {
    const { concurrency, queueLength, queueWaitMs, statistics } = options;
    this.#options = options;
    this.#queue = new CallQueue({ concurrency, queueLength, queueWaitMs, statistics });
  }

  get modelId(): string {
    return this.#options.placement.modelId;
  }

  get version(): string {
    return this.#options.placement.version;
  }

  get audience(): Audience {
    const { ownerTenantId, visibility } = this.#options.placement;
    return { ownerTenantId, visibility: this.#visibility ?? visibility };
  }

  /** Takes over what may change of a placement while its version stays: the visibility. */
  update({ visibility }: Pick<PlacementState, 'visibility'>): void {
    this.#visibility = visibility;
  }

  get versionId(): string {
    return this.#options.placement.versionId;
  }

  /** Public name of the model. */
  get model(): string {
    return this.#options.placement.model;
  }

  get statistics(): VersionStatistics {
    return this.#options.statistics;
  }

  /** Calls that wait. */
  get queueLength(): number {
    return this.#queue.waiting;
  }

  get state(): RemoteState {
    return this.#state;
  }

  get unavailable(): string | null {
    if (this.#state.state === 'ready') return null;
    return this.#state.error ?? 'not looked at yet';
  }

  /** Looks at the server, and goes on doing so. */
  start(): void {
    void this.#look();
  }

  assertReady(): void {
    if (this.#state.state !== 'ready') throw new AppError('model.not_ready', { retryAfterMs: NOT_READY_RETRY_MS });
  }

  async metadata(name: string): Promise<ModelMetadata> {
    this.assertReady();
    return this.#options.server.metadata(name);
  }

  async infer(call: EdgeCall): Promise<EdgeAnswer> {
    this.assertReady();
    const { rows, send } = this.#options.server.prepare(call);
    const parent = currentSpanParent();
    const queuedAtMs = performance.now();
    try {
      const { result, times } = await this.#queue.run(call.priority, rows, call.signal, () => {
        // Tokens that the other server counts are known with its answer only.
        call.started({ inputs: rows, 'input-tokens': 0 });
        return send();
      });
      if (parent !== undefined) {
        recordSpan('queue', parent, queuedAtMs, times.startedAtMs, {});
        recordSpan('execute', parent, times.startedAtMs, times.endedAtMs, { rows });
      }
      return result;
    } catch (error) {
      if (error instanceof AppError && (error.code === 'worker.unreachable' || error.code === 'model.not_ready')) {
        this.#options.logger.warn({ ...this.#names(), err: error.cause ?? error }, 'the server that runs a version failed a call');
        if (isAboutServer(error)) void this.#look();
      }
      throw error;
    }
  }

  async control(): Promise<void> {
    throw new AppError('request.invalid', { message: 'Another server runs this model: load and unload it there.' });
  }

  /** Sends nothing more; resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#stop();
    await this.#queue.settled();
    await this.#options.server.close();
  }

  /** Ends what is under way. */
  async destroy(): Promise<void> {
    this.#stop();
    await this.#options.server.destroy();
  }

  #stop(): void {
    this.#stopping.abort(new AppError('service.stopping'));
    clearTimeout(this.#timer);
  }

  /** One look at a time. */
  #look(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    clearTimeout(this.#timer);
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = null;
      if (!this.#stopping.signal.aborted) this.#timer = setTimeout(() => void this.#look(), this.#nextLookMs());
    });
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    const { placement, server, secrets } = this.#options;
    const { secret } = placement.backend;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
    try {
      await server.look(secret === undefined ? undefined : await secrets.read(secret), signal);
      this.#failures = 0;
      this.#become({ state: 'ready' });
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#failures++;
      const isForGood = error instanceof AppError && error.code === 'model.package_invalid';
      this.#become({ state: isForGood ? 'failed' : 'loading', error: problemOf(error).slice(0, MAX_PROBLEM_LENGTH) });
    }
  }

  #nextLookMs(): number {
    const { healthIntervalMs } = this.#options;
    if (this.#failures === 0) return healthIntervalMs;
    return Math.min(LAST_LOOK_AGAIN_MS, FIRST_LOOK_AGAIN_MS * 2 ** (this.#failures - 1));
  }

  #become(state: RemoteState): void {
    const before = this.#state;
    this.#state = state;
    const error = 'error' in state ? state.error : undefined;
    if (before.state === state.state && ('error' in before ? before.error : undefined) === error) return;
    const { logger, onChange } = this.#options;
    if (state.state === 'ready') logger.info(this.#names(), 'the server that runs a version is ready');
    else logger.warn({ ...this.#names(), problem: error }, 'the server that runs a version is not ready');
    onChange();
  }

  #names(): Record<string, string> {
    const { versionId, modelId, version } = this.#options.placement;
    return { versionId, modelId, version };
  }
}

/** Refusals that a look would meet too: the secret is not taken, the model is not there. */
const REFUSALS_OF_ALL: ReadonlySet<number> = new Set([401, 403, 404]);

/** Did a call fail for a reason that others would meet too? A server that answers and fails is not looked at for each of its failures. */
function isAboutServer({ cause }: AppError): boolean {
  return !(cause instanceof ServerRefusal) || REFUSALS_OF_ALL.has(cause.status);
}

/** Why a server is not ready, for the owner of the model. */
function problemOf(error: unknown): string {
  if (error instanceof AppError) return error.cause instanceof ServerRefusal ? error.cause.message : error.message;
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'The server that runs the model does not answer in time.';
  if (error instanceof Error) return error.message;
  return toAppError(error).message;
}

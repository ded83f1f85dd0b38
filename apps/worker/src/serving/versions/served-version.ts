import { AppError, toAppError } from '@weir/kernel';
import type { Audience } from '../../open-inference/guard.ts';
import { readModelPackage, type ModelPackage } from '../model-package/model-package.ts';
import type { InferenceUsage } from '@weir/open-inference';
import type { PlacedVersion } from '../control-messages.ts';
import type { LoadedSignature, OnnxTensor } from '../runtime/messages.ts';
import type { Batching } from '../runtime/network-shape.ts';
import { Network, type CallAdmission, type NetworkLimits, type NetworkObserver, type ProbeItem } from '../runtime/network.ts';
import type { RunCaller } from '../runtime/run-caller.ts';
import { RunRefusedError } from '../runtime/run-refused.ts';
import type { RunSlots } from '../runtime/run-slots.ts';
import type { ItemResult, Priority } from '../runtime/waiting-item.ts';
import { infer } from '../tasks/infer.ts';
import { prepareVersion } from '../tasks/tasks.ts';
import type { RunItem, TaskLimits, TaskVersion } from '../tasks/task.ts';
import { probe } from './batch-probe.ts';
import { exampleRequests } from './example-request.ts';
import { providersFor } from './execution-providers.ts';
import { privateMemoryBytes } from './process-memory.ts';
import { TenantGate } from './tenant-gate.ts';

/** Longest time that a package's own example may take when the version is loaded. */
const EXAMPLE_TIMEOUT_MS = 30_000;
/** Calls of one tenant that are prepared at once: enough to keep the threads that do it busy. */
const PREPARED_AT_ONCE = 8;
const NOT_READY_RETRY_MS = 1_000;

export interface ServedVersionOptions {
  readonly placed: PlacedVersion;
  readonly limits: NetworkLimits;
  readonly taskLimits: TaskLimits;
  readonly slots: RunSlots;
  readonly intraOpThreads: number;
  readonly executionProviders: readonly string[];
  /** Most threads that may hold one network. */
  readonly maxInstances: number;
  readonly observer: NetworkObserver;
  /** Records the start of a load (callers null) or a run; the returned function its end. */
  readonly record: (callers: readonly RunCaller[] | null) => () => void;
  /**
   * @returns true when a call of this size has to run alone
   * @throws model.input_refused
   */
  readonly admit: (tenantId: string, shapeClass: string) => boolean;
  /** Asks for the version to be loaded. */
  readonly onWanted: () => void;
  /** The process cannot go on with this version. */
  readonly onBroken: (reason: string) => void;
}

/** A call as far as its runs need it. */
export interface CallProgress {
  /** Tenant of the verified token. */
  readonly tenantId: string;
  readonly priority: Priority;
  readonly signal: AbortSignal;
  /** Notes what of the call has begun to run. */
  readonly started: (usage: InferenceUsage) => void;
}

/** A version that is in memory, until the last call that began with it has ended. */
class InMemory {
  readonly version: TaskVersion;
  readonly #networks: ReadonlyMap<string, Network>;
  readonly #idle = Promise.withResolvers<void>();
  #calls = 0;
  #isLeaving = false;

  constructor(version: TaskVersion, networks: ReadonlyMap<string, Network>) {
    this.version = version;
    this.#networks = networks;
  }

  get queueLength(): number {
    let waiting = 0;
    for (const network of this.#networks.values()) waiting += network.waiting;
    return waiting;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#calls++;
    try {
      return await work();
    } finally {
      this.#calls--;
      if (this.#isLeaving && this.#calls === 0) this.#idle.resolve();
    }
  }

  /** @throws worker.overloaded when a call would be refused, whatever its items are */
  assertRoom({ tenantId, priority }: CallProgress): void {
    for (const network of this.#networks.values()) network.assertRoom(tenantId, priority);
  }

  async run(item: RunItem, call: CallProgress & { readonly admission: CallAdmission }): Promise<ItemResult> {
    const network = this.#networks.get(item.network);
    if (network === undefined) throw new AppError('model.failed', { cause: new Error(`no network ${item.network}`) });
    const { feeds, outputs, usage } = item;
    const { tenantId, priority, signal, admission, started } = call;
    const onStarted = (): void => {
      if (usage !== undefined) started(usage);
    };
    return network.submit({ feeds, outputs, tenantId, priority, signal, admission, onStarted });
  }

  /** Frees it when the calls that use it have ended: each has a deadline. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    if (this.#calls > 0) await this.#idle.promise;
    await free(this.version, this.#networks);
  }
}

/** A version that this process takes calls for, whether it is in memory or not. */
export class ServedVersion {
  readonly #options: ServedVersionOptions;
  readonly #preparing = new TenantGate(PREPARED_AT_ONCE);
  #inMemory: InMemory | null = null;
  /** Calls that wait until it is in memory. */
  #waiting: PromiseWithResolvers<InMemory> | null = null;
  #underWay = 0;
  #usedAtMs = performance.now();
  #isRemoved = false;
  #visibility: PlacedVersion['visibility'];

  constructor(options: ServedVersionOptions) {
    this.#options = options;
    this.#visibility = options.placed.visibility;
  }

  get placed(): PlacedVersion {
    return this.#options.placed;
  }

  /** Whose calls are taken. */
  get audience(): Audience {
    return { ownerTenantId: this.#options.placed.ownerTenantId, visibility: this.#visibility };
  }

  update(visibility: PlacedVersion['visibility']): void {
    this.#visibility = visibility;
  }

  get isInMemory(): boolean {
    return this.#inMemory !== null;
  }

  /** Calls are under way, or wait for it to be loaded. */
  get isBusy(): boolean {
    return this.#underWay > 0;
  }

  /** Milliseconds since its last call, or since it was loaded. */
  get idleMs(): number {
    return performance.now() - this.#usedAtMs;
  }

  /** Items that wait for a run. */
  get queueLength(): number {
    return this.#inMemory?.queueLength ?? 0;
  }

  /**
   * Brings it into memory, and runs it once.
   *
   * @returns bytes of memory that it took, as far as can be told
   * @throws model.package_invalid when the files, the task or ONNX Runtime do not fit together
   */
  async load(): Promise<number> {
    const { placed } = this.#options;
    const before = privateMemoryBytes();
    const networks = new Map<string, Network>();
    let version: TaskVersion | null = null;
    const ended = this.#options.record(null);
    try {
      const modelPackage = await readModelPackage(placed.directory, placed.files, placed.task);
      for (const [role, spec] of modelPackage.networks) networks.set(role, await this.#loadNetwork(modelPackage, spec));
      const signatures = new Map<string, LoadedSignature>([...networks].map(([role, network]) => [role, network.signature]));
      version = await prepareVersion(modelPackage, signatures);
      await this.#warmUp(version, networks);
      if (this.#isRemoved) throw new AppError('model.not_ready');
      this.#inMemory = new InMemory(version, networks);
      this.#usedAtMs = performance.now();
    } catch (error) {
      await free(version, networks);
      throw asLoadError(error);
    } finally {
      ended();
    }
    this.#waiting?.resolve(this.#inMemory);
    this.#waiting = null;
    return Math.max(0, privateMemoryBytes() - before);
  }

  /** Refuses the calls that wait for it to be in memory. */
  refuse(error: unknown): void {
    this.#waiting?.reject(toAppError(error));
    this.#waiting = null;
  }

  /** Frees its memory once the calls that use it have ended; later ones ask for it again. */
  async unload(): Promise<void> {
    const inMemory = this.#inMemory;
    this.#inMemory = null;
    await inMemory?.leave();
  }

  async remove(): Promise<void> {
    this.#isRemoved = true;
    this.refuse(new AppError('model.not_ready', { retryAfterMs: NOT_READY_RETRY_MS }));
    await this.unload();
  }

  /**
   * Does `work` with the version in memory; waits for it when it is not.
   *
   * @param work is given the version, and what runs rows on its networks
   * @throws worker.overloaded when the tenant's share of a queue is full
   * @throws the reason of the call's signal when it is aborted while waiting, and what `refuse` was told
   */
  async use<T>(call: CallProgress, work: (version: TaskVersion, run: (item: RunItem) => Promise<ItemResult>) => Promise<T>): Promise<T> {
    this.#underWay++;
    const failed = new AbortController();
    let prepared = (): void => undefined;
    try {
      const inMemory = this.#inMemory ?? (await this.#awaited(call.signal));
      const { tenantId } = call;
      const signal = AbortSignal.any([call.signal, failed.signal]);
      const progress = { ...call, signal, admission: { isAdmitted: false, refusal: undefined } };
      return await inMemory.use(async () => {
        prepared = await this.#preparing.enter(tenantId, signal);
        // A call that would be refused is not prepared first.
        inMemory.assertRoom(call);
        return work(inMemory.version, (item) => {
          prepared();
          return inMemory.run(item, progress);
        });
      });
    } catch (error) {
      // Waiting items of a failed call need not run.
      failed.abort(error);
      throw error;
    } finally {
      prepared();
      this.#underWay--;
      this.#usedAtMs = performance.now();
    }
  }

  /** Reads the version, once it is in memory; runs nothing, so that no queue is asked. */
  async described<T>(signal: AbortSignal, read: (version: TaskVersion) => T): Promise<T> {
    this.#underWay++;
    try {
      const { version } = this.#inMemory ?? (await this.#awaited(signal));
      return read(version);
    } finally {
      this.#underWay--;
    }
  }

  async #awaited(signal: AbortSignal): Promise<InMemory> {
    if (this.#isRemoved) throw new AppError('model.not_ready', { retryAfterMs: NOT_READY_RETRY_MS });
    if (this.#waiting === null) {
      this.#waiting = Promise.withResolvers();
      this.#waiting.promise.catch(() => undefined);
      this.#options.onWanted();
    }
    const given = Promise.withResolvers<never>();
    const giveUp = (): void => given.reject(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await Promise.race([this.#waiting.promise, given.promise]);
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #loadNetwork(
    { weir }: ModelPackage,
    { file, padding }: { file: string; padding: Parameters<typeof Network.load>[0]['padding'] },
  ): Promise<Network> {
    const { limits, slots, intraOpThreads, executionProviders, maxInstances, observer, record, admit, onBroken } = this.#options;
    const { instances = 1, maxBatchSize, runLimitMs, accelerator } = weir.runtime ?? {};
    return Network.load({
      file,
      padding,
      session: { executionProviders: providersFor(accelerator, executionProviders), intraOpThreads },
      instances: Math.min(instances, maxInstances),
      limits: {
        ...limits,
        maxBatchRows: Math.min(limits.maxBatchRows, maxBatchSize ?? Infinity),
        runLimitMs: Math.min(limits.runLimitMs, runLimitMs ?? Infinity),
      },
      slots,
      observer,
      record,
      admit,
      onHung: onBroken,
    });
  }

  /** Runs the package's example, learns from it what runs cost, and decides whether callers may share them. */
  async #warmUp(version: TaskVersion, networks: ReadonlyMap<string, Network>): Promise<void> {
    const samples = new Map<string, ProbeItem>();
    const [request] = await exampleRequests(version.modelPackage);
    if (request !== undefined) {
      const signal = AbortSignal.timeout(EXAMPLE_TIMEOUT_MS);
      const run = async (item: RunItem): Promise<readonly OnnxTensor[]> => {
        const network = networks.get(item.network);
        if (network === undefined) throw new AppError('model.failed');
        const { feeds, outputs } = item;
        if (!samples.has(item.network))
          samples.set(item.network, {
            feeds: feeds.map((feed) => ({ ...feed, data: feed.data.slice() as OnnxTensor['data'] })),
            outputs,
          });
        return (await network.runTogether([{ feeds, outputs }]))[0] ?? [];
      };
      // A task may ask for several runs at once, such as the lines of a picture; a network tries out one at a time.
      let before: Promise<unknown> = Promise.resolve();
      const runInTurn = (item: RunItem): Promise<readonly OnnxTensor[]> => {
        const result = before.then(() => run(item));
        before = result.catch(() => undefined);
        return result;
      };
      try {
        await infer({ version, request, limits: this.#options.taskLimits, signal, run: runInTurn, sequence: null });
      } catch (error) {
        // An example that does not work is the publisher's concern; the probe that follows meets what hangs.
        if (networkIsStuck(networks)) throw error;
      }
    }
    for (const [role, network] of networks) {
      const measured = await probe(network, samples.get(role) ?? null);
      network.batching = batchingOf(network, version.modelPackage.weir.runtime?.batching, measured);
    }
  }
}

/** Takes the declaration of the package on its rows as given; that padding changes no result is measured. */
function batchingOf(network: Network, declared: boolean | undefined, measured: Batching): Batching {
  if (!network.hasBatchAxis || declared === false) return 'none';
  if (declared !== true || measured !== 'none') return measured;
  return network.padding === null ? 'padded' : 'equal-lengths';
}

async function free(version: TaskVersion | null, networks: ReadonlyMap<string, Network>): Promise<void> {
  await Promise.all([...networks.values()].map((network) => network.close()));
  await version?.prepared?.close();
}

function networkIsStuck(networks: ReadonlyMap<string, Network>): boolean {
  return [...networks.values()].some((network) => network.isStuck);
}

/** What ONNX Runtime refuses to load, and what does not end while it is loaded, no other attempt will load. */
function asLoadError(error: unknown): unknown {
  const isFault = error instanceof RunRefusedError || (error instanceof AppError && error.code === 'model.failed');
  return isFault ? new AppError('model.package_invalid', { message: `The model cannot be loaded: ${error.message}` }) : error;
}

import { AppError } from '@weir/kernel';
import type { PaddingRule } from '../model-package/network.ts';
import { joined, paddingWaste, parted } from './batch.ts';
import { BatchQueue, type BatchLimit } from './batch-queue.ts';
import { CostModel } from './cost-model.ts';
import { HoldBack } from './hold-back.ts';
import type { LoadedSignature, OnnxTensor, SessionOptions } from './messages.ts';
import { NetworkThread } from './network-thread-client.ts';
import type { RunCaller } from './run-caller.ts';
import type { Runnable, RunSlots } from './run-slots.ts';
import { RunRefusedError } from './run-refused.ts';
import type { ItemResult, Priority, WaitingItem } from './waiting-item.ts';

/** What is measured of one network. */
export interface NetworkObserver {
  /** An item left the queue for its run. */
  waited(seconds: number): void;
  ran(run: {
    readonly seconds: number;
    readonly rows: number;
    readonly items: number;
    readonly paddingWaste: number;
    readonly isOk: boolean;
  }): void;
  rejected(reason: RejectionReason): void;
}

export type RejectionReason = 'overloaded' | 'timeout' | 'cancelled';

/** Bounds of one network's work. */
export interface NetworkLimits {
  /** Rows that may wait when a call comes; a call that is let in brings all of its rows. */
  readonly queueLength: number;
  /** Longest wait that an item is let in for, in milliseconds, as far as measured runs tell. */
  readonly queueWaitMs: number;
  /** Longest run that a batch is filled up to, in milliseconds. */
  readonly batchMs: number;
  readonly maxBatchRows: number;
  /** Longest run; beyond, the process has to go, because a run cannot be interrupted. */
  readonly runLimitMs: number;
}

export interface NetworkOptions {
  readonly file: string;
  readonly padding: PaddingRule | null;
  readonly session: SessionOptions;
  /** Threads that hold it, each with its own weights. */
  readonly instances: number;
  readonly limits: NetworkLimits;
  readonly slots: RunSlots;
  readonly observer: NetworkObserver;
  /** A run that goes on past its limit, or a thread that ended: the process cannot be trusted any more. */
  readonly onHung: (reason: string) => void;
  /** Called at the start of each run, with its callers (null: it is tried out); the returned function at its end. */
  readonly record: (callers: readonly RunCaller[] | null) => () => void;
}

/** Rows to run, beside others of a probe. */
export interface ProbeItem {
  readonly feeds: readonly OnnxTensor[];
  readonly outputs: readonly string[];
  readonly rows: number;
  /** Elements of each row along the padded axis; 0 where nothing is padded. */
  readonly length: number;
}

/** Rows to run. */
export interface NetworkItem extends ProbeItem {
  /** It belongs to a call whose first rows were let in already: a call is refused as a whole or not at all. */
  readonly isAdmitted: boolean;
  readonly caller: RunCaller;
  readonly priority: Priority;
  readonly signal: AbortSignal;
  /** Called when its run begins; once, also when it runs again by itself after a shared run was refused. */
  readonly onStarted?: () => void;
}

const MIN_RETRY_AFTER_MS = 1_000;
const MAX_RETRY_AFTER_MS = 30_000;

/** One loaded ONNX file: its threads, its queue, what its runs cost. */
export class Network implements Runnable {
  readonly #options: NetworkOptions;
  readonly #queue = new BatchQueue();
  readonly #cost = new CostModel();
  readonly #threads: NetworkThread[];
  readonly #free: NetworkThread[];
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #signature: LoadedSignature;
  #isBatched = false;
  #hasRun = false;
  /** The elements of an item are counted where the network's shapes leave more than the batch open. */
  readonly #countsElements: boolean;
  readonly #holdBack: HoldBack;
  #unitsUnderWay = 0;
  #isClosed = false;

  private constructor(options: NetworkOptions, threads: NetworkThread[], signature: LoadedSignature) {
    this.#options = options;
    this.#threads = threads;
    this.#free = [...threads];
    this.#signature = signature;
    this.#countsElements = options.padding === null && signature.inputs.some((input) => input.dims.slice(1).some(isFree));
    this.#holdBack = new HoldBack(() => options.slots.wake());
    options.slots.add(this);
  }

  /**
   * Makes the sessions, each in a thread of its own, so that nothing else waits for them.
   *
   * @throws RunRefusedError when ONNX Runtime does not take the file
   */
  static async load(options: NetworkOptions): Promise<Network> {
    const threads: NetworkThread[] = [];
    try {
      let signature: LoadedSignature | undefined;
      for (let instance = 0; instance < options.instances; instance++) {
        const thread = new NetworkThread((reason) => options.onHung(reason));
        threads.push(thread);
        signature = await watched(options, 'load', thread.load(options.file, options.session));
      }
      if (signature === undefined) throw new Error('a network has at least one instance');
      return new Network(options, threads, signature);
    } catch (error) {
      await Promise.all(threads.filter((thread) => !thread.isBusy).map((thread) => thread.close()));
      throw error;
    }
  }

  get signature(): LoadedSignature {
    return this.#signature;
  }

  /** May rows of different callers share a run? */
  get isBatched(): boolean {
    return this.#isBatched;
  }

  set isBatched(value: boolean) {
    this.#isBatched = value;
  }

  /** Can rows share a run, going by the signature: every tensor begins with a free axis? */
  get hasBatchAxis(): boolean {
    const { inputs, outputs } = this.#signature;
    const first = inputs[0]?.dims[0];
    return (
      inputs.length > 0 &&
      [...inputs, ...outputs].every(({ dims }) => dims.length > 0 && isFree(dims[0] ?? 0)) &&
      // Inputs whose first axes have different names grow independently of each other.
      inputs.every(({ dims }) => typeof dims[0] !== 'string' || typeof first !== 'string' || dims[0] === first)
    );
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Asked when nothing runs: has one of its threads not come back from a run, or ended? */
  get isStuck(): boolean {
    return this.#threads.some((thread) => thread.isBusy || thread.hasEnded);
  }

  get isWaiting(): boolean {
    return this.#free.length > 0 && this.#queue.size > 0 && !this.#isHeldBack;
  }

  get hasInteractive(): boolean {
    return this.#queue.hasInteractive;
  }

  get runsAlone(): boolean {
    return this.#queue.first()?.caller.runsAlone ?? false;
  }

  get expectedMs(): number {
    return this.#cost.expectMs(this.#queue.first()?.units ?? 1) ?? 0;
  }

  /** What runs cost, as measured so far, in milliseconds. */
  get cost(): { readonly perUnit: number; readonly perRun: number } {
    return this.#cost.line();
  }

  /**
   * Queues rows and resolves with what the network gives for them.
   *
   * @throws worker.overloaded the queue is full, or the wait would be longer than its bound
   * @throws model.not_ready   the network is being unloaded
   * @throws RunRefusedError   ONNX Runtime does not take these tensors
   * @throws the reason of the item's signal when it is aborted while the item waits
   */
  submit(item: NetworkItem): Promise<ItemResult> {
    return new Promise<ItemResult>((resolve, reject) => {
      const { signal, feeds, outputs, rows, length, priority, caller } = item;
      if (signal.aborted) return reject(this.#givenUp(signal.reason));
      if (this.#isClosed) return reject(new AppError('model.not_ready', { retryAfterMs: MIN_RETRY_AFTER_MS }));
      if (!item.isAdmitted) {
        const expectedWaitMs = this.#expectedWaitMs();
        if (this.#queue.size >= this.#options.limits.queueLength || expectedWaitMs > this.#options.limits.queueWaitMs) {
          this.#options.observer.rejected('overloaded');
          return reject(new AppError('worker.overloaded', { retryAfterMs: retryAfterMs(expectedWaitMs) }));
        }
      }
      const giveUp = (): void => {
        // What is running already is finished and thrown away: ONNX Runtime cannot be interrupted.
        this.#queue.remove(waiting);
        reject(this.#givenUp(signal.reason));
      };
      let hasStarted = false;
      const waiting: WaitingItem = {
        feeds,
        outputs,
        rows,
        length,
        units: this.#unitsOf(item),
        key: this.#isBatched ? this.#keyOf(item) : null,
        caller,
        priority,
        enqueuedAtMs: performance.now(),
        started: () => {
          if (!hasStarted) item.onStarted?.();
          hasStarted = true;
        },
        resolve: (result) => {
          signal.removeEventListener('abort', giveUp);
          resolve(result);
        },
        reject: (error) => {
          signal.removeEventListener('abort', giveUp);
          reject(error);
        },
      };
      this.#queue.add(waiting);
      this.#holdBack.arrived();
      signal.addEventListener('abort', giveUp, { once: true });
      this.#options.slots.wake();
    });
  }

  /**
   * Runs items in one batch, past the queue; for trying a network out before it takes calls.
   *
   * @throws RunRefusedError, model.failed when it does not end in time
   */
  async runTogether(items: readonly ProbeItem[]): Promise<OnnxTensor[][]> {
    const thread = this.#free.pop();
    if (thread === undefined) throw new Error('a network that takes calls is not tried out');
    const { padding } = this.#options;
    const ended = this.#options.record(null);
    const startedAtMs = performance.now();
    try {
      const ran = await watched(this.#options, 'run', thread.run(joined(items, padding), items[0]?.outputs ?? []));
      const units = this.#unitsOfBatch(items.map((item) => ({ ...item, units: this.#unitsOf(item) })));
      // The first run of all allocates: what it took says nothing of those that follow.
      if (this.#hasRun) this.#cost.observe(units, performance.now() - startedAtMs);
      this.#hasRun = true;
      return parted(ran.outputs, items, padding);
    } finally {
      ended();
      if (!thread.isBusy) this.#free.push(thread);
    }
  }

  /** Starts the next batch on a free thread; called by the slots. */
  start(): Promise<number> {
    const thread = this.#free.pop();
    const items = this.#queue.take(this.#batchLimit());
    if (thread === undefined || items.length === 0) {
      if (thread !== undefined) this.#free.push(thread);
      return Promise.resolve(0);
    }
    const run = this.#run(thread, items);
    this.#underWay.add(run);
    return run.finally(() => {
      this.#underWay.delete(run);
      if (!thread.isBusy) this.#free.push(thread);
    });
  }

  /** Refuses what waits, lets the runs under way finish, and frees the memory. A thread that hangs stays: only its process can be ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#holdBack.close();
    this.#options.slots.remove(this);
    for (const item of this.#queue.drain()) item.reject(new AppError('model.not_ready', { retryAfterMs: MIN_RETRY_AFTER_MS }));
    await Promise.allSettled(this.#underWay);
    await Promise.all(this.#threads.filter((thread) => !thread.isBusy).map((thread) => thread.close()));
  }

  async #run(thread: NetworkThread, items: readonly WaitingItem[]): Promise<number> {
    const { observer, padding } = this.#options;
    const startedAtMs = performance.now();
    for (const item of items) {
      observer.waited((startedAtMs - item.enqueuedAtMs) / 1000);
      item.started();
    }
    const rows = items.reduce((sum, item) => sum + item.rows, 0);
    const units = this.#unitsOfBatch(items);
    this.#unitsUnderWay += units;
    const ended = this.#options.record(items.map(({ caller }) => caller));
    let ms = 0;
    let isOk = false;
    try {
      const feeds = joined(items, padding);
      const ran = await watched(this.#options, 'run', thread.run(feeds, items[0]?.outputs ?? []));
      ms = ran.ms;
      const endedAtMs = performance.now();
      // With the way to the thread and back: it is what the next call waits for, and company shares it too.
      this.#cost.observe(units, endedAtMs - startedAtMs);
      if (this.#isBatched) this.#holdBack.ended(items.length, this.#queue.size, this.#cost.line().perRun);
      const parts = parted(ran.outputs, items, padding);
      isOk = true;
      const times = { startedAtMs, executingAtMs: endedAtMs - ran.ms, endedAtMs };
      for (const [index, item] of items.entries()) item.resolve({ outputs: parts[index] ?? [], ...times, batchRows: rows });
    } catch (error) {
      ms = performance.now() - startedAtMs;
      // Whose tensors were refused, only runs of their own can tell: nobody is refused for a neighbour.
      if (items.length > 1 && error instanceof RunRefusedError) this.#separate(items);
      else for (const item of items) item.reject(error);
    } finally {
      ended();
      this.#unitsUnderWay -= units;
      observer.ran({ seconds: ms / 1000, rows, items: items.length, paddingWaste: paddingWaste(items), isOk });
    }
    return ms;
  }

  /** Puts the items of a refused batch back, to be run one by one. */
  #separate(items: readonly WaitingItem[]): void {
    for (const item of items) {
      item.key = null;
      this.#queue.add(item);
    }
    this.#options.slots.wake();
  }

  /** Is the next run held back for callers who are about to come again? */
  get #isHeldBack(): boolean {
    const { units, rows } = this.#batchLimit();
    if (this.#queue.size >= rows || this.#queue.units >= units) return false;
    return this.#holdBack.isHolding(this.#queue.size);
  }

  #batchLimit(): BatchLimit {
    const { batchMs, maxBatchRows } = this.#options.limits;
    const { perUnit, perRun } = this.#cost.line();
    return {
      units: this.#cost.batchUnits(batchMs),
      rows: maxBatchRows,
      paddingUnits: perUnit === 0 ? Infinity : perRun / perUnit,
    };
  }

  /** What a run costs: everything that is computed, padding included. */
  #unitsOfBatch(items: readonly { readonly rows: number; readonly length: number; readonly units: number }[]): number {
    if (this.#options.padding === null) return items.reduce((sum, item) => sum + item.units, 0);
    return items.reduce((sum, item) => sum + item.rows, 0) * items.reduce((longest, item) => Math.max(longest, item.length), 1);
  }

  #unitsOf({ feeds, rows, length }: ProbeItem): number {
    if (length > 0) return rows * length;
    if (!this.#countsElements) return rows;
    return feeds.reduce((sum, feed) => sum + feed.data.length, 0);
  }

  /**
   * Equal for items that can be joined: the same outputs of tensors that differ in rows and padded lengths only; where a caller runs
   * alone, calls of its tenant and shape class only.
   */
  #keyOf({ feeds, outputs, caller }: NetworkItem): string | null {
    const { padding } = this.#options;
    let key = outputs.join('\u0000');
    if (caller.runsAlone) key += `\u0002${caller.shapeClass} ${caller.tenantId}`;
    for (const { name, dims } of feeds) {
      const axis = padding?.inputs.get(name)?.axis;
      key += `\u0001${name}`;
      for (let i = 1; i < dims.length; i++) if (i !== axis) key += `,${dims[i]}`;
    }
    return key;
  }

  /** Until an item that comes now would be run, as far as measured runs tell. */
  #expectedWaitMs(): number {
    const units = this.#queue.units + this.#unitsUnderWay;
    if (units === 0) return 0;
    const limit = this.#isBatched ? this.#cost.batchUnits(this.#options.limits.batchMs) : 1;
    const { perUnit, perRun } = this.#cost.line();
    const runs = this.#isBatched ? Math.ceil(units / limit) : this.#queue.size + this.#underWay.size;
    return (units * perUnit + runs * perRun) / this.#threads.length;
  }

  #givenUp(reason: unknown): unknown {
    this.#options.observer.rejected(reason instanceof AppError && reason.code === 'request.timeout' ? 'timeout' : 'cancelled');
    return reason;
  }
}

function isFree(size: number | string): boolean {
  return typeof size === 'string' || size < 1;
}

function retryAfterMs(expectedWaitMs: number): number {
  return Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, Math.ceil(expectedWaitMs)));
}

/** @throws model.failed when work in a thread takes longer than the limit; the thread goes on, because nothing can stop it */
async function watched<T>(options: NetworkOptions, what: string, work: Promise<T>): Promise<T> {
  const { runLimitMs } = options.limits;
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    options.onHung(`a ${what} took longer than ${runLimitMs} ms`);
    limit.reject(new AppError('model.failed', { message: `The model did not finish within ${runLimitMs} ms.` }));
  }, runLimitMs);
  try {
    return await Promise.race([work, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

import { AppError } from '@weir/kernel';
import type { PaddingRule } from '../model-package/network.ts';
import { concatenate, extentOf, paddingWaste, split } from './batch.ts';
import { BatchQueue, type BatchLimit } from './batch-queue.ts';
import { CostModel } from './cost-model.ts';
import { HoldBack } from './hold-back.ts';
import type { LoadedSignature, OnnxTensor, SessionOptions } from './messages.ts';
import { NetworkShape, type Batching, type ItemShape } from './network-shape.ts';
import { NetworkThread } from './network-thread-client.ts';
import { shapeClassOf, type RunCaller } from './run-caller.ts';
import { RunMemory, type RunBounds } from './run-memory.ts';
import { assertAdmitted, type QueueLimits } from './queue-admission.ts';
import type { NextRun, Runnable, RunSlots } from './run-slots.ts';
import { withinRunLimit } from './run-limit.ts';
import { SubmittedItem } from './submitted-item.ts';
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
export interface NetworkLimits extends QueueLimits, RunBounds {
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
  /**
   * Called with each item that is submitted.
   *
   * @returns true when an item of this tenant and size has to run alone
   * @throws model.input_refused
   */
  readonly admit: (tenantId: string, shapeClass: string) => boolean;
}

/** Rows to run, beside others of a probe. Rows and length are those of the feeds. */
export interface ProbeItem {
  readonly feeds: readonly OnnxTensor[];
  readonly outputs: readonly string[];
}

/** Whether a call was let into a queue, decided by its first item: a call is refused as a whole or not at all. */
export interface CallAdmission {
  isAdmitted: boolean;
  /** Error that its first item was refused with. */
  refusal: unknown;
}

/** Rows to run. */
export interface NetworkItem extends ProbeItem {
  /** The tenant that the work is charged to, out of the verified token. */
  readonly tenantId: string;
  /** Of the call that it belongs to. */
  readonly admission: CallAdmission;
  readonly priority: Priority;
  readonly signal: AbortSignal;
  /** Called when its run, or that of its first chunk, begins; once, also when it runs again by itself after a shared run failed. */
  readonly onStarted: () => void;
}

const CLOSING_RETRY_AFTER_MS = 1_000;

/** One loaded ONNX file: its threads, its queue, what its runs cost. */
export class Network implements Runnable {
  readonly #options: NetworkOptions;
  readonly #queue: BatchQueue;
  readonly #cost = new CostModel();
  readonly #threads: NetworkThread[];
  readonly #free: NetworkThread[];
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #signature: LoadedSignature;
  readonly #shape: NetworkShape;
  readonly #memory: RunMemory;
  #batching: Batching = 'none';
  #hasRun = false;
  readonly #holdBack: HoldBack;
  #unitsUnderWay = 0;
  #isClosed = false;

  private constructor(options: NetworkOptions, threads: NetworkThread[], signature: LoadedSignature) {
    this.#options = options;
    this.#threads = threads;
    this.#free = [...threads];
    this.#signature = signature;
    this.#shape = new NetworkShape(signature, options.padding);
    this.#memory = new RunMemory(this.#shape);
    this.#queue = new BatchQueue(options.slots.tenants);
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
        signature = await withinRunLimit(options, 'load', thread.load(options.file, options.session));
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

  /** Which rows of different callers may share a run. */
  get batching(): Batching {
    return this.#batching;
  }

  set batching(value: Batching) {
    this.#batching = value;
  }

  /** Can rows share a run, going by the signature: every tensor begins with a free axis? */
  get hasBatchAxis(): boolean {
    return this.#shape.hasBatchAxis;
  }

  /** How rows of different lengths share a run; null where they do not. */
  get padding(): PaddingRule | null {
    return this.#options.padding;
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

  next(priority: Priority): NextRun | null {
    const head = this.#queue.head(priority);
    if (head === null) return null;
    const { startMs, item } = head;
    return { startMs, expectedMs: this.#cost.expectMs(item.units) ?? 0, runsAlone: item.caller.runsAlone };
  }

  /** What runs cost, as measured so far, in milliseconds. */
  get cost(): { readonly perUnit: number; readonly perRun: number } {
    return this.#cost.line();
  }

  /**
   * Is there room in the queue for an item of the tenant?
   *
   * @throws worker.overloaded the tenant's share of the queue is full, or the wait would be longer than its bound
   */
  assertRoom(tenantId: string, priority: Priority, units = 1): void {
    try {
      assertAdmitted(this.#queue, this.#options.limits, tenantId, this.#expectedWaitMs(tenantId, priority, units));
    } catch (error) {
      this.#options.observer.rejected('overloaded');
      throw error;
    }
  }

  /**
   * Queues rows and resolves with what the network gives for them. More rows than a batch holds are queued in chunks, where the
   * rows are independent of each other.
   *
   * @throws worker.overloaded the tenant's share of the queue is full, or the wait would be longer than its bound
   * @throws model.not_ready   the network is being unloaded
   * @throws model.input_refused items of the tenant and of this size crashed the process
   * @throws RunRefusedError   the feeds disagree in rows or length, are more than a run can take, or ONNX Runtime does not take them
   * @throws the reason of the item's signal when it is aborted while the item waits
   */
  async submit(item: NetworkItem): Promise<ItemResult> {
    const { signal, feeds, outputs, priority, onStarted } = item;
    if (signal.aborted) {
      this.#cancelled(signal.reason);
      throw signal.reason;
    }
    if (this.#isClosed) throw new AppError('model.not_ready', { retryAfterMs: CLOSING_RETRY_AFTER_MS });
    const shape = this.#shape.measure(feeds, outputs, this.#batching);
    const chunkRows = this.#chunkRows(shape);
    this.#memory.assertWithin(this.#options.limits, item, shape, chunkRows);
    const caller = this.#callerOf(item, shape);
    this.#admit(item, shape);
    const submission = { caller, feeds, outputs, priority, signal, onStarted };
    const submitted = new SubmittedItem(submission, { ...shape, key: keyFor(caller, shape.key) }, chunkRows, (isCancelled) => {
      for (const chunk of submitted.chunks) this.#queue.remove(chunk);
      if (isCancelled) this.#cancelled(signal.reason);
    });
    for (const chunk of submitted.chunks) this.#queue.add(chunk);
    this.#holdBack.arrived();
    this.#options.slots.wake();
    return submitted.result;
  }

  /**
   * Runs items in one batch, past the queue; for trying a network out before it takes calls.
   *
   * @throws RunRefusedError, model.failed when it does not end in time
   */
  async runTogether(items: readonly ProbeItem[]): Promise<OnnxTensor[][]> {
    const thread = this.#free.pop();
    if (thread === undefined) throw new Error('a network that takes calls is not tried out');
    const ended = this.#options.record(null);
    const startedAtMs = performance.now();
    try {
      const measured = items.map(({ feeds, outputs }) => ({ feeds, ...this.#shape.measure(feeds, outputs, 'padded') }));
      const feeds = concatenate(measured, this.#options.padding);
      const ran = await withinRunLimit(this.#options, 'run', thread.run(feeds, items[0]?.outputs ?? []));
      // The first run of all allocates: what it took says nothing of those that follow.
      if (this.#hasRun) this.#cost.observe(this.#unitsOfBatch(measured), performance.now() - startedAtMs);
      this.#hasRun = true;
      const { rows, longest } = extentOf(measured);
      this.#memory.observeOutputs(ran.outputs, { rows, length: longest });
      return split(ran.outputs, measured, (name) => this.#shape.lengthAxesOf(name));
    } finally {
      ended();
      if (!thread.isBusy) this.#free.push(thread);
    }
  }

  /**
   * Runs copies of an item, more than were ever run together, and learns from it what memory a run takes.
   *
   * @returns the outputs of the first
   */
  async runLargest(items: readonly ProbeItem[], memoryBytes: () => number): Promise<OnnxTensor[]> {
    const [first] = items;
    if (first === undefined) return [];
    const shape = this.#shape.measure(first.feeds, first.outputs, 'padded');
    const before = memoryBytes();
    const [outputs = []] = await this.runTogether(items);
    this.#memory.observeGrowth(memoryBytes() - before, shape.units * (items.length - 1), shape);
    return outputs;
  }

  /** Starts the next batch on a free thread; called by the slots. */
  start(priority: Priority): Promise<number> {
    const thread = this.#free.pop();
    if (thread === undefined) return Promise.resolve(0);
    const items = this.#queue.take(priority, this.#batchLimit());
    if (items.length === 0) {
      this.#free.push(thread);
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
    for (const item of this.#queue.drain()) item.reject(new AppError('model.not_ready', { retryAfterMs: CLOSING_RETRY_AFTER_MS }));
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
    const expectedMs = this.#cost.expectMs(units) ?? 0;
    this.#charge(items, expectedMs);
    this.#unitsUnderWay += units;
    const ended = this.#options.record(items.map(({ caller }) => caller));
    let ms = 0;
    let isOk = false;
    try {
      const feeds = concatenate(items, padding);
      const ran = await withinRunLimit(this.#options, 'run', thread.run(feeds, items[0]?.outputs ?? []));
      ms = ran.ms;
      const endedAtMs = performance.now();
      // With the way to the thread and back: it is what the next call waits for, and batches share it too.
      this.#cost.observe(units, endedAtMs - startedAtMs);
      if (this.#batching !== 'none') this.#holdBack.ended(items.length, this.#queue.size, this.#cost.line().perRun);
      const parts = split(ran.outputs, items, (name) => this.#shape.lengthAxesOf(name));
      isOk = true;
      const times = { startedAtMs, executingAtMs: endedAtMs - ran.ms, endedAtMs };
      for (const [index, item] of items.entries())
        item.resolve({ outputs: parts[index] ?? [], rows: item.rows, ...times, batchRows: rows });
    } catch (error) {
      ms = performance.now() - startedAtMs;
      // Which item is the cause, only runs of their own can tell: no item is refused for a neighbour. A run that hangs, or a
      // thread that has ended (AppError), leaves nothing to run them on.
      if (items.length > 1 && !(error instanceof AppError)) this.#separate(items);
      else for (const item of items) item.reject(error);
    } finally {
      ended();
      this.#charge(items, ms - expectedMs);
      this.#unitsUnderWay -= units;
      observer.ran({ seconds: ms / 1000, rows, items: items.length, paddingWaste: paddingWaste(items), isOk });
    }
    return ms;
  }

  /** Charges each tenant for its part of a run. */
  #charge(items: readonly WaitingItem[], ms: number): void {
    const units = items.reduce((sum, item) => sum + item.units, 0);
    for (const item of items) this.#options.slots.charge(item.caller, (ms * item.units) / units);
  }

  /** Puts the items of a failed batch back, to be run one by one. */
  #separate(items: readonly WaitingItem[]): void {
    for (const item of items.toReversed()) {
      if (item.isSettled) continue;
      item.key = null;
      this.#queue.addFirst(item);
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
    return { units: this.#cost.batchUnits(batchMs), rows: maxBatchRows, perUnitMs: perUnit, perRunMs: perRun };
  }

  /** Most rows of an item that run at once: those of a batch, where the rows are independent. */
  #chunkRows(shape: ItemShape): number {
    const { rows, units, isSplittable } = shape;
    if (!isSplittable) return Infinity;
    const { batchMs, maxBatchRows, runBytes } = this.#options.limits;
    const inTime = (this.#cost.unitsWithin(batchMs) * rows) / units;
    const inMemory = (runBytes * rows) / Math.max(1, this.#memory.bytesOf(shape));
    return Math.max(1, Math.floor(Math.min(maxBatchRows, inTime, inMemory)));
  }

  /** What a run costs: everything that is computed, padding included. */
  #unitsOfBatch(items: readonly Pick<ItemShape, 'rows' | 'length' | 'units'>[]): number {
    const longest = items.reduce((length, item) => Math.max(length, item.length), 0);
    return longest === 0 ? items.reduce((sum, item) => sum + item.units, 0) : items.reduce((sum, item) => sum + item.rows, 0) * longest;
  }

  /** @throws model.input_refused when calls of the tenant and of this size crashed the process */
  #callerOf({ tenantId }: NetworkItem, { rows, elements }: ItemShape): RunCaller {
    const shapeClass = shapeClassOf(rows, elements);
    return { tenantId, shapeClass, elements, runsAlone: this.#options.admit(tenantId, shapeClass) };
  }

  #admit({ tenantId, priority, admission }: NetworkItem, { units }: ItemShape): void {
    if (admission.isAdmitted) return;
    if (admission.refusal !== undefined) throw admission.refusal;
    try {
      this.assertRoom(tenantId, priority, units);
      admission.isAdmitted = true;
    } catch (error) {
      admission.refusal = error;
      throw error;
    }
  }

  /** Until an item of the tenant that arrives now runs, under fair service and as far as measured runs tell. */
  #expectedWaitMs(tenantId: string, priority: Priority, units: number): number {
    const waiting = this.#queue.unitsAhead(tenantId, priority, units);
    const ahead = waiting + this.#unitsUnderWay;
    if (ahead === 0) return 0;
    const { perUnit, perRun } = this.#cost.line();
    const runs =
      this.#batching === 'none'
        ? Math.ceil((this.#queue.size * waiting) / Math.max(1, this.#queue.units)) + this.#underWay.size
        : Math.ceil(ahead / this.#cost.batchUnits(this.#options.limits.batchMs));
    return (ahead * perUnit + runs * perRun) / this.#threads.length;
  }

  #cancelled(reason: unknown): void {
    this.#options.observer.rejected(reason instanceof AppError && reason.code === 'request.timeout' ? 'timeout' : 'cancelled');
  }
}

/** A caller that runs alone shares runs with calls of its own tenant and shape class only. */
function keyFor({ tenantId, shapeClass, runsAlone }: RunCaller, key: string | null): string | null {
  return key === null || !runsAlone ? key : JSON.stringify([key, tenantId, shapeClass]);
}

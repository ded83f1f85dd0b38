import { performance } from 'node:perf_hooks';
import { AppError } from '@weir/kernel';
import { FairQueue } from './fair-queue.ts';
import type { LoadedSignature, OnnxTensor, RunResult, ThreadReply, TokenizerSource } from './messages.ts';
import { ModelThread, type ModelThreadOptions, type ThreadWork } from './model-thread-client.ts';
import { scrubbed } from './scrub.ts';

export interface ModelRuntimeOptions extends ModelThreadOptions {
  /** Calls that may wait for one model. */
  readonly queueLength: number;
  readonly intraOpThreads: number;
  readonly observe?: RuntimeObserver;
}

/** What is measured. */
export interface RuntimeObserver {
  waited(seconds: number): void;
  ran(seconds: number): void;
  rejected(reason: 'overloaded' | 'timeout' | 'cancelled'): void;
}

/** What a model is to do: with tensors as they are, or with sentences that are first made into tokens. */
export type RunWork =
  { readonly kind: 'tensors'; readonly feeds: readonly OnnxTensor[] } | { readonly kind: 'texts'; readonly texts: readonly string[] };

/** ONNX Runtime refused a run; `message` is fit for callers. Whose fault it is, the task knows. */
export class RunRefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RunRefusedError';
  }
}

interface Waiting {
  readonly versionId: string;
  readonly work: RunWork;
  readonly outputs: readonly string[];
  readonly enqueuedAtMs: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Control {
  readonly work: ThreadWork;
  readonly resolve: (reply: ThreadReply) => void;
}

/** Weight of the newest run in the running mean of how long runs take. */
const NEWEST_WEIGHT = 0.2;
const MIN_RETRY_AFTER_MS = 1_000;
const MAX_RETRY_AFTER_MS = 30_000;

/**
 * Runs models one at a time on their thread, with a bounded queue for each. This is the thin version: one thread,
 * no batching. What is given up (deadline passed, caller gone) leaves its queue at once and never runs; what is
 * already running is finished and thrown away, because ONNX Runtime cannot be interrupted.
 */
export class ModelRuntime {
  readonly #options: ModelRuntimeOptions;
  readonly #thread: ModelThread;
  readonly #queue: FairQueue<Waiting>;
  /** Versions that may be run. */
  readonly #loaded = new Set<string>();
  /** Loads and unloads go before runs: they are few. */
  readonly #controls: Control[] = [];
  #isBusy = false;
  #isClosed = false;
  #meanRunMs = 10;

  constructor(options: ModelRuntimeOptions) {
    this.#options = options;
    this.#thread = new ModelThread(options);
    this.#queue = new FairQueue(options.queueLength);
  }

  /** Calls that wait, of all models. */
  get queued(): number {
    return this.#queue.size;
  }

  /** @throws model.package_invalid when ONNX Runtime or the tokenizer does not take the files */
  async load(versionId: string, modelFile: string, tokenizer: TokenizerSource | null): Promise<LoadedSignature> {
    const reply = await this.#control({ kind: 'load', versionId, modelFile, intraOpThreads: this.#options.intraOpThreads, tokenizer });
    if ('signature' in reply) {
      this.#loaded.add(versionId);
      return reply.signature;
    }
    throw new AppError('model.package_invalid', {
      message: `The model cannot be loaded: ${'error' in reply ? scrubbed(reply.error) : 'no reply'}`,
    });
  }

  /** Refuses what waits for the version, lets the run under way finish, and frees its memory. */
  async unload(versionId: string): Promise<void> {
    this.#loaded.delete(versionId);
    for (const waiting of this.#queue.drain(versionId)) waiting.reject(notReady());
    await this.#control({ kind: 'unload', versionId });
  }

  /**
   * Runs a loaded version.
   *
   * @param signal when it is aborted the call is given up with the signal's reason
   * @throws worker.overloaded the version's queue is full
   * @throws model.not_ready   it was unloaded, perhaps while this call was prepared
   * @throws service.stopping  the worker is
   * @throws RunRefusedError   ONNX Runtime does not take these tensors
   */
  run(versionId: string, work: RunWork, outputs: readonly string[], signal: AbortSignal): Promise<RunResult> {
    return new Promise<RunResult>((resolve, reject) => {
      if (signal.aborted) return reject(this.#givenUp(signal.reason));
      if (this.#isClosed) return reject(new AppError('service.stopping', { retryAfterMs: MIN_RETRY_AFTER_MS }));
      if (!this.#loaded.has(versionId)) return reject(notReady());
      const giveUp = (): void => {
        this.#queue.remove(versionId, waiting);
        reject(this.#givenUp(signal.reason));
      };
      const waiting: Waiting = {
        versionId,
        work,
        outputs,
        enqueuedAtMs: performance.now(),
        resolve: (result) => {
          signal.removeEventListener('abort', giveUp);
          resolve(result);
        },
        reject: (error) => {
          signal.removeEventListener('abort', giveUp);
          reject(error);
        },
      };
      if (!this.#queue.add(versionId, waiting)) {
        this.#options.observe?.rejected('overloaded');
        return reject(new AppError('worker.overloaded', { retryAfterMs: this.#retryAfterMs(versionId) }));
      }
      signal.addEventListener('abort', giveUp, { once: true });
      this.#pump();
    });
  }

  /** Refuses what waits, lets the run under way finish, and ends the thread. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (let waiting = this.#queue.take(); waiting !== undefined; waiting = this.#queue.take())
      waiting.reject(new AppError('service.stopping', { retryAfterMs: MIN_RETRY_AFTER_MS }));
    await this.#thread.close();
  }

  #control(work: ThreadWork): Promise<ThreadReply> {
    return new Promise((resolve) => {
      this.#controls.push({ work, resolve });
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isBusy || this.#isClosed) return;
    const control = this.#controls.shift();
    if (control !== undefined) {
      void this.#occupy(async () => control.resolve(await this.#thread.call(control.work)));
      return;
    }
    const waiting = this.#queue.take();
    if (waiting !== undefined) void this.#occupy(() => this.#runNow(waiting));
  }

  async #occupy(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    try {
      await work();
    } finally {
      this.#isBusy = false;
      this.#pump();
    }
  }

  async #runNow(waiting: Waiting): Promise<void> {
    const { versionId, work, outputs } = waiting;
    const startedAtMs = performance.now();
    this.#options.observe?.waited((startedAtMs - waiting.enqueuedAtMs) / 1000);
    let reply: ThreadReply;
    try {
      reply =
        work.kind === 'texts'
          ? await this.#thread.call({ kind: 'run-texts', versionId, texts: work.texts, outputs })
          : await this.#thread.call({ kind: 'run', versionId, feeds: work.feeds, outputs }, buffersOf(work.feeds));
    } catch (error) {
      waiting.reject(error);
      return;
    }
    const ranMs = performance.now() - startedAtMs;
    this.#meanRunMs += (ranMs - this.#meanRunMs) * NEWEST_WEIGHT;
    this.#options.observe?.ran(ranMs / 1000);
    if ('result' in reply) waiting.resolve(reply.result);
    else waiting.reject(new RunRefusedError('error' in reply ? scrubbed(reply.error) : 'no reply'));
  }

  #givenUp(reason: unknown): unknown {
    this.#options.observe?.rejected(reason instanceof AppError && reason.code === 'request.timeout' ? 'timeout' : 'cancelled');
    return reason;
  }

  /** When the queue will have emptied, as far as the last runs tell. */
  #retryAfterMs(versionId: string): number {
    return Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, Math.ceil(this.#queue.lengthOf(versionId) * this.#meanRunMs)));
  }
}

function notReady(): AppError {
  return new AppError('model.not_ready', { retryAfterMs: MIN_RETRY_AFTER_MS });
}

function buffersOf(feeds: readonly OnnxTensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of feeds) if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}

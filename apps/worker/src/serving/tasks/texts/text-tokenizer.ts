import { Worker } from 'node:worker_threads';
import { AppError } from '@weir/kernel';
import { invalidFile } from '../../model-package/package-files.ts';
import type { TextPreparation } from '../../model-package/text-preparation.ts';
import { failed } from '../prepared-run.ts';
import type { TokenBlock, TokenizerSource, TokenReply, TokenRequest } from './token-messages.ts';

/** The sources run as they are under the tests, the compiled files in production. */
const THREAD_FILE = new URL(import.meta.url.endsWith('.ts') ? './tokenizer-thread.ts' : './tokenizer-thread.js', import.meta.url);

/** One text as a model reads it. */
export interface TokenRow {
  readonly ids: Int32Array;
  /** First and last (exclusive) UTF-16 unit of each token in the text, -1 for special ones; empty when they were not asked for. */
  readonly offsets: Int32Array;
}

/** Bounds of a tokenizer's thread. */
export interface TokenizerLimits {
  /** A thread that takes no turns for this long has hung, and is replaced. */
  readonly stallMs: number;
  /** Reading the tokenizer's files. */
  readonly loadMs: number;
  /** Characters of texts that wait or are under way. */
  readonly maxCharacters: number;
}

const LIMITS: TokenizerLimits = { stallMs: 5_000, loadMs: 60_000, maxCharacters: 16_000_000 };
/** The vocabularies of many languages need some hundred MiB. */
const MAX_HEAP_MIB = 1_024;
/** What a text leaves behind is collected soon. */
const YOUNG_GENERATION_MIB = 4;
/** V8's default, half a gigabyte, counts against the memory limit of the process; V8 aborts the process when that is reached. */
const CODE_RANGE_MIB = 16;
const RETRY_AFTER_MS = 1_000;
const MAX_PROBLEM_LENGTH = 200;

interface Waiting {
  readonly resolve: (block: TokenBlock) => void;
  readonly reject: (error: unknown) => void;
}

/** A thread, and when it has read its files. */
interface Thread {
  readonly worker: Worker;
  readonly ready: Promise<void>;
}

/**
 * The tokenizer of one loaded version, in a thread of its own: it is foreign input, and reading it, or a text with it, may take
 * longer than others can wait.
 */
export class TextTokenizer {
  readonly #source: TokenizerSource;
  readonly #limits: TokenizerLimits;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Thread | null = null;
  #nextCall = 1;
  #characters = 0;
  /** Set while the thread may have something to do. */
  #watch: NodeJS.Timeout | null = null;
  #isAsked = false;
  #hasGivenUp = false;
  #isClosed = false;

  private constructor(source: TokenizerSource, limits: TokenizerLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  /** @throws model.package_invalid when `tokenizer.json` is not a tokenizer that the library knows */
  static async open(
    { tokenizerFile, tokenizerConfigFile, maxTokens }: TextPreparation,
    limits: Partial<TokenizerLimits> = {},
  ): Promise<TextTokenizer> {
    const tokenizer = new TextTokenizer({ tokenizerFile, tokenizerConfigFile, maxTokens }, { ...LIMITS, ...limits });
    await tokenizer.#running();
    return tokenizer;
  }

  /**
   * The tokens of texts, each at most as many as the model can read. Texts of different calls take turns.
   *
   * @throws worker.overloaded when too much text waits
   * @throws model.failed when the tokenizer hangs or breaks on a text
   * @throws model.not_ready when the version is unloaded meanwhile; the signal's reason
   */
  async encode(texts: readonly string[], signal: AbortSignal, { withOffsets = false } = {}): Promise<TokenRow[]> {
    signal.throwIfAborted();
    const characters = texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#characters + characters > this.#limits.maxCharacters)
      throw new AppError('worker.overloaded', { retryAfterMs: RETRY_AFTER_MS });
    this.#characters += characters;
    try {
      return rowsOf(await this.#call(await this.#running(), texts, withOffsets, signal));
    } finally {
      this.#characters -= characters;
    }
  }

  /** Ends the thread; what is under way is given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const thread = this.#thread;
    if (thread === null) return;
    this.#lost(thread, notReady());
    await thread.worker.terminate();
  }

  /** The thread that works, another one when the last one was lost. */
  async #running(): Promise<Worker> {
    if (this.#isClosed) throw notReady();
    this.#thread ??= this.#start();
    const { worker, ready } = this.#thread;
    await ready;
    return worker;
  }

  #start(): Thread {
    // Nothing of the environment, and what the library prints is nobody's business.
    const worker = new Worker(THREAD_FILE, {
      env: {},
      execArgv: [],
      name: 'tokenizer',
      workerData: this.#source,
      stdout: true,
      stderr: true,
      resourceLimits: {
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB,
        maxOldGenerationSizeMb: MAX_HEAP_MIB,
        codeRangeSizeMb: CODE_RANGE_MIB,
      },
    });
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const thread: Thread = { worker, ready };
    const lose = (problem: string): void => {
      clearTimeout(timer);
      reject(invalidFile('tokenizer.json', `is not a tokenizer that can be used here: ${problem.slice(0, MAX_PROBLEM_LENGTH)}`));
      this.#lost(thread, failed('its tokenizer broke off'));
    };
    const timer = setTimeout(() => lose(`reading it took longer than ${this.#limits.loadMs} ms`), this.#limits.loadMs);
    worker.on('error', (error) => lose(error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => lose('its thread ended'));
    worker.on('message', (reply: TokenReply) => {
      this.#isAsked = false;
      if (reply.kind === 'ready') {
        clearTimeout(timer);
        resolve();
      } else if (reply.kind === 'encoded') this.#take(reply.call)?.resolve(reply.block);
      else if (reply.kind === 'failed' && reply.call !== null)
        this.#take(reply.call)?.reject(failed('its tokenizer does not take this text'));
      else if (reply.kind === 'failed') lose(reply.problem);
    });
    return thread;
  }

  #call(worker: Worker, texts: readonly string[], withOffsets: boolean, signal: AbortSignal): Promise<TokenBlock> {
    const { promise, resolve, reject } = Promise.withResolvers<TokenBlock>();
    if (this.#thread?.worker !== worker) throw notReady();
    signal.throwIfAborted();
    const call = this.#nextCall++;
    const giveUp = (): void => {
      this.#hasGivenUp = true;
      worker.postMessage({ kind: 'give-up', call } satisfies TokenRequest);
      this.#take(call)?.reject(signal.reason);
    };
    const settled = (): void => signal.removeEventListener('abort', giveUp);
    this.#waiting.set(call, {
      resolve: (block) => {
        settled();
        resolve(block);
      },
      reject: (error) => {
        settled();
        reject(error);
      },
    });
    signal.addEventListener('abort', giveUp, { once: true });
    worker.postMessage({ kind: 'encode', call, texts, withOffsets } satisfies TokenRequest);
    this.#watch ??= setTimeout(() => this.#look(), this.#limits.stallMs);
    return promise;
  }

  #take(call: number): Waiting | undefined {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    return waiting;
  }

  /** Asks a thread that may be busy whether it still takes turns, and ends one that did not answer the last time. */
  #look(): void {
    this.#watch = null;
    const thread = this.#thread;
    if (thread === null) return;
    if (this.#isAsked) return this.#lost(thread, failed('its tokenizer did not come to an end'));
    if (this.#waiting.size === 0 && !this.#hasGivenUp) return;
    this.#isAsked = true;
    this.#hasGivenUp = false;
    thread.worker.postMessage({ kind: 'ping' } satisfies TokenRequest);
    this.#watch = setTimeout(() => this.#look(), this.#limits.stallMs);
  }

  /** Ends a thread and gives up what it had to do; the next call starts another one. */
  #lost(thread: Thread, reason: AppError): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#watch = null;
    this.#isAsked = false;
    this.#hasGivenUp = false;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const each of waiting) each.reject(reason);
    void thread.worker.terminate();
  }
}

function notReady(): AppError {
  return new AppError('model.not_ready', { retryAfterMs: RETRY_AFTER_MS });
}

function rowsOf({ lengths, ids, offsets }: TokenBlock): TokenRow[] {
  let start = 0;
  return Array.from(lengths, (length) => {
    const end = start + length;
    const row = { ids: ids.subarray(start, end), offsets: offsets?.subarray(2 * start, 2 * end) ?? new Int32Array(0) };
    start = end;
    return row;
  });
}

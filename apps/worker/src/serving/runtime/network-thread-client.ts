import { Worker } from 'node:worker_threads';
import type { LoadedSignature, OnnxTensor, SessionOptions, ThreadReply, ThreadRequest } from './messages.ts';
import { AppError } from '@weir/kernel';
import { RunRefusedError } from './run-refused.ts';
import { scrubbed } from './scrub.ts';

/** The sources run as they are under the tests, the compiled files in production. */
const THREAD_FILE = new URL(import.meta.url.endsWith('.ts') ? './network-thread.ts' : './network-thread.js', import.meta.url);
/**
 * A thread runs little code and holds no data of its own. Without a bound on its code range V8 reserves half a gigabyte
 * for each, which counts against the memory limit of the process.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64, codeRangeSizeMb: 8 };
/** A process that lost a thread is replaced within about this time. */
const LOST_RETRY_MS = 1_000;

/** What a run gave, and how long it took in the thread. */
export interface ThreadRun {
  readonly outputs: readonly OnnxTensor[];
  readonly ms: number;
}

/** The thread of one network, seen from the accepting thread: one request at a time. */
export class NetworkThread {
  readonly #worker: Worker;
  readonly #onLost: (reason: string) => void;
  #waiting: { resolve: (reply: ThreadReply) => void; reject: (error: unknown) => void } | null = null;
  #isClosing = false;

  /** @param onLost called when the thread ends by itself */
  constructor(onLost: (reason: string) => void) {
    this.#onLost = onLost;
    // Nothing of the environment: models are foreign code.
    this.#worker = new Worker(THREAD_FILE, {
      env: {},
      execArgv: [],
      name: 'network',
      resourceLimits: THREAD_LIMITS,
    });
    this.#worker.on('message', (reply: ThreadReply) => {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting?.resolve(reply);
    });
    this.#worker.on('error', (error) => this.#lost(error instanceof Error ? error.message : String(error)));
    this.#worker.on('exit', () => this.#lost('the thread ended'));
  }

  /** Is a request under way? */
  get isBusy(): boolean {
    return this.#waiting !== null;
  }

  get hasEnded(): boolean {
    return this.#isClosing;
  }

  /** @throws RunRefusedError when ONNX Runtime does not take the file */
  async load(file: string, options: SessionOptions): Promise<LoadedSignature> {
    const reply = await this.#call({ kind: 'load', file, options });
    if (reply.kind === 'loaded') return reply.signature;
    throw new RunRefusedError(reply.kind === 'failed' ? scrubbed(reply.error) : 'no reply');
  }

  /**
   * Runs the network. Buffers that the feeds fill wholly are given away; others are copied.
   *
   * @throws RunRefusedError when ONNX Runtime does not take the tensors
   */
  async run(feeds: readonly OnnxTensor[], outputs: readonly string[]): Promise<ThreadRun> {
    const owned = feeds.map(ownedFeed);
    const reply = await this.#call({ kind: 'run', feeds: owned, outputs }, buffersOf(owned));
    if (reply.kind === 'ran') return reply;
    throw new RunRefusedError(reply.kind === 'failed' ? scrubbed(reply.error) : 'no reply');
  }

  /** Frees the session and ends the thread. Not while a request is under way: a thread that is ended in ONNX Runtime takes the process along. */
  async close(): Promise<void> {
    if (!this.#isClosing) await this.#call({ kind: 'release' }).catch(() => undefined);
    this.#isClosing = true;
    await this.#worker.terminate();
  }

  #call(request: ThreadRequest, transfer: readonly ArrayBuffer[] = []): Promise<ThreadReply> {
    if (this.#waiting !== null) throw new Error('the thread is busy');
    if (this.#isClosing) throw new Error('the thread has ended');
    // May throw (a buffer that was given away before): then nothing is under way.
    this.#worker.postMessage(request, transfer);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #lost(reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(new AppError('worker.unreachable', { cause: new Error(reason), retryAfterMs: LOST_RETRY_MS }));
    this.#onLost(reason);
  }
}

/** A feed whose buffer holds nothing else, so that it may be given away. */
function ownedFeed(feed: OnnxTensor): OnnxTensor {
  const { data } = feed;
  if (!ArrayBuffer.isView(data)) return feed;
  const isWhole = data.byteOffset === 0 && data.byteLength === data.buffer.byteLength && data.buffer instanceof ArrayBuffer;
  return isWhole ? feed : { ...feed, data: data.slice() };
}

function buffersOf(feeds: readonly OnnxTensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of feeds) if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}

import { Worker } from 'node:worker_threads';
import type { ThreadReply, ThreadRequest } from './messages.ts';

/** The sources run as they are under the tests, the compiled files in production. */
const THREAD_FILE = new URL(import.meta.url.endsWith('.ts') ? './model-thread.ts' : './model-thread.js', import.meta.url);

type WithoutCall<T> = T extends unknown ? Omit<T, 'call'> : never;
/** A request before it has its number. */
export type ThreadWork = WithoutCall<ThreadRequest>;

export interface ModelThreadOptions {
  /** Longest that the thread may be busy with one request. */
  readonly runLimitMs: number;
  /**
   * Called when a request has passed the limit, or the thread has ended by itself. A run cannot be interrupted and
   * a blocked thread cannot be ended, so the process has to go: the supervisor starts it anew.
   */
  readonly die: (reason: string) => void;
}

/** The thread of the models, seen from the process: one request at a time. */
export class ModelThread {
  readonly #thread: Worker;
  readonly #options: ModelThreadOptions;
  #nextCall = 1;
  #current: { call: number; settled: Promise<ThreadReply>; resolve: (reply: ThreadReply) => void; timer: NodeJS.Timeout } | null = null;
  #isClosing = false;

  constructor(options: ModelThreadOptions) {
    this.#options = options;
    // Nothing of the environment: models are foreign code.
    this.#thread = new Worker(THREAD_FILE, { env: {}, execArgv: [], name: 'models' });
    this.#thread.on('message', (reply: ThreadReply) => this.#settle(reply));
    this.#thread.on('error', (error) =>
      this.#ended(`the thread of the models failed: ${error instanceof Error ? error.message : String(error)}`),
    );
    this.#thread.on('exit', () => this.#ended('the thread of the models ended'));
  }

  /** Sends one request and waits for its reply; buffers in `transfer` are gone from here. Not to be called while another is under way. */
  call(work: ThreadWork, transfer: readonly ArrayBuffer[] = []): Promise<ThreadReply> {
    if (this.#current !== null) throw new Error('the thread of the models is busy');
    const call = this.#nextCall++;
    // May throw (a buffer that was given away before): then nothing is under way.
    this.#thread.postMessage({ ...work, call } as ThreadRequest, transfer);
    const { promise: settled, resolve } = Promise.withResolvers<ThreadReply>();
    const timer = setTimeout(
      () => this.#options.die(`a ${work.kind} took longer than ${this.#options.runLimitMs} ms`),
      this.#options.runLimitMs,
    );
    this.#current = { call, settled, resolve, timer };
    return settled;
  }

  /**
   * Ends the thread when it is idle. A thread that is ended while ONNX Runtime works in it takes the whole
   * process down, so the request under way is waited for; its limit still holds.
   */
  async close(): Promise<void> {
    await this.#current?.settled;
    this.#isClosing = true;
    await this.#thread.terminate();
  }

  #settle(reply: ThreadReply): void {
    const current = this.#current;
    if (current === null || current.call !== reply.call) return;
    clearTimeout(current.timer);
    this.#current = null;
    current.resolve(reply);
  }

  #ended(reason: string): void {
    if (!this.#isClosing) this.#options.die(reason);
  }
}

import { AppError } from '@weir/kernel';
import type { Priority } from '@weir/open-inference';
import PQueue from 'p-queue';
import type { VersionStatistics } from '../statistics/version-statistics.ts';

const MIN_RETRY_AFTER_MS = 1_000;
const MAX_RETRY_AFTER_MS = 30_000;
/** How much the last call counts in what calls are expected to take. */
const NEWEST_SHARE = 0.2;
const RANK: Readonly<Record<Priority, number>> = { interactive: 1, batch: 0 };

export interface CallQueueOptions {
  readonly concurrency: number;
  /** Calls that may wait. */
  readonly queueLength: number;
  /** Longest wait that a call is let in for, in milliseconds, as far as calls before it tell. */
  readonly queueWaitMs: number;
  readonly statistics: Pick<VersionStatistics, 'waited' | 'ran' | 'rejected'>;
}

/** When a call began and ended at the other server. */
export interface CallTimes {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** Calls to another server: so many at once, the others in a bounded queue, interactive ones first. */
export class CallQueue {
  readonly #options: CallQueueOptions;
  readonly #queue: PQueue;
  #averageMs = 0;

  constructor(options: CallQueueOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency });
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Makes a call when its turn has come.
   *
   * @param rows items of the call, for the statistics
   * @throws worker.overloaded when too many wait, or the wait would be too long
   * @throws the reason of `signal` when it is aborted while waiting; the call is then not made
   */
  async run<T>(priority: Priority, rows: number, signal: AbortSignal, call: () => Promise<T>): Promise<{ result: T; times: CallTimes }> {
    const { statistics } = this.#options;
    this.#assertRoom();
    const queuedAtMs = performance.now();
    let hasStarted = false;
    try {
      return await this.#queue.add(
        async () => {
          hasStarted = true;
          const startedAtMs = performance.now();
          statistics.waited((startedAtMs - queuedAtMs) / 1000);
          let isOk = false;
          try {
            const result = await call();
            isOk = true;
            return { result, times: { startedAtMs, endedAtMs: performance.now() } };
          } finally {
            const ms = performance.now() - startedAtMs;
            this.#averageMs = this.#averageMs === 0 ? ms : this.#averageMs + NEWEST_SHARE * (ms - this.#averageMs);
            statistics.ran({ seconds: ms / 1000, rows, items: 1, paddingWaste: 0, isOk });
          }
        },
        { priority: RANK[priority], signal },
      );
    } catch (error) {
      if (!hasStarted) statistics.rejected(error instanceof AppError && error.code === 'request.timeout' ? 'timeout' : 'cancelled');
      throw error;
    }
  }

  /** Resolves when nothing is under way and nothing waits. */
  async settled(): Promise<void> {
    await this.#queue.onIdle();
  }

  #assertRoom(): void {
    const { concurrency, queueLength, queueWaitMs, statistics } = this.#options;
    const expectedWaitMs = this.#queue.pending < concurrency ? 0 : ((this.#queue.size + 1) / concurrency) * this.#averageMs;
    if (this.#queue.size < queueLength && expectedWaitMs <= queueWaitMs) return;
    statistics.rejected('overloaded');
    const retryAfterMs = Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, Math.ceil(expectedWaitMs)));
    throw new AppError('worker.overloaded', { retryAfterMs });
  }
}

import { AppError } from '@weir/kernel';
import { concatenateRows, rowRange } from './batch.ts';
import type { OnnxTensor } from './messages.ts';
import type { ItemShape } from './network-shape.ts';
import { elementsOf, type RunCaller } from './run-caller.ts';
import type { ItemResult, Priority, WaitingItem } from './waiting-item.ts';

/** Properties common to the chunks of an item. */
export interface Submission {
  readonly caller: RunCaller;
  readonly feeds: readonly OnnxTensor[];
  readonly outputs: readonly string[];
  readonly priority: Priority;
  readonly signal: AbortSignal;
  /** Called when the first of its chunks begins to run. */
  readonly onStarted: () => void;
}

/** An item in the queue: one or several chunks of its rows, which are queued and run by themselves and answered together. */
export class SubmittedItem {
  readonly chunks: readonly WaitingItem[];
  readonly result: Promise<ItemResult>;

  /**
   * @param chunkRows most rows of a chunk
   * @param onFailed the item has failed or was cancelled by its signal: its chunks leave the queue
   */
  constructor(
    { caller, feeds, outputs, priority, signal, onStarted }: Submission,
    { rows, length, units, key }: ItemShape,
    chunkRows: number,
    onFailed: (isCancelled: boolean) => void,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<ItemResult>();
    this.result = promise;
    let isSettled = false;
    let hasStarted = false;
    const settle = (): void => {
      isSettled = true;
      signal.removeEventListener('abort', cancel);
    };
    const fail = (error: unknown, isCancelled: boolean): void => {
      if (isSettled) return;
      settle();
      onFailed(isCancelled);
      reject(error);
    };
    // Chunks in progress finish and are dropped: ONNX Runtime cannot be interrupted.
    const cancel = (): void => fail(signal.reason, true);
    signal.addEventListener('abort', cancel, { once: true });
    const results: ItemResult[] = [];
    let missing = Math.max(1, Math.ceil(rows / chunkRows));
    const isWhole = missing === 1;
    const enqueuedAtMs = performance.now();
    this.chunks = Array.from({ length: missing }, (_, index): WaitingItem => {
      const start = index * chunkRows;
      const end = Math.min(rows, start + chunkRows);
      const ownFeeds = isWhole ? feeds : feeds.map((feed) => rowRange(feed, start, end));
      return {
        caller: isWhole ? caller : { ...caller, elements: elementsOf(ownFeeds) },
        feeds: ownFeeds,
        outputs,
        rows: isWhole ? rows : end - start,
        length,
        units: isWhole ? units : (units * (end - start)) / rows,
        key,
        priority,
        enqueuedAtMs,
        get isSettled() {
          return isSettled;
        },
        started: () => {
          if (!hasStarted) onStarted();
          hasStarted = true;
        },
        resolve: (result) => {
          if (isSettled) return;
          results[index] = result;
          if (--missing > 0) return;
          settle();
          try {
            resolve(isWhole ? result : together(results, rows));
          } catch (error) {
            reject(new AppError('model.failed', { cause: error }));
          }
        },
        reject: (error) => fail(error, false),
      };
    });
  }
}

/** @throws when the outputs of the chunks do not fit together */
function together(results: readonly ItemResult[], rows: number): ItemResult {
  return {
    outputs: concatenateRows(results.map(({ outputs }) => outputs)),
    rows,
    startedAtMs: Math.min(...results.map(({ startedAtMs }) => startedAtMs)),
    executingAtMs: Math.min(...results.map(({ executingAtMs }) => executingAtMs)),
    endedAtMs: Math.max(...results.map(({ endedAtMs }) => endedAtMs)),
    batchRows: Math.max(...results.map(({ batchRows }) => batchRows)),
  };
}

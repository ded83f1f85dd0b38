import type { OnnxTensor } from './messages.ts';
import type { RunCaller } from './run-caller.ts';

/** Interactive work has a caller that waits for it; batch work may take its time. */
export type Priority = 'interactive' | 'batch';

/** Rows that wait for their network. */
export interface WaitingItem {
  readonly feeds: readonly OnnxTensor[];
  readonly outputs: readonly string[];
  readonly rows: number;
  /** Elements of each row along the padded axis; 0 where nothing is padded. */
  readonly length: number;
  /** What the item costs: rows, or padded elements. */
  readonly units: number;
  /** Items share a run only when their keys are equal; null: this one runs by itself, also when a shared run failed. */
  key: string | null;
  /** The call that it belongs to; its tenant is charged. */
  readonly caller: RunCaller;
  readonly priority: Priority;
  readonly enqueuedAtMs: number;
  /** Its run begins. */
  started(): void;
  /** Its call was cancelled or has failed: it need not run any more. */
  readonly isSettled: boolean;
  resolve(result: ItemResult): void;
  reject(error: unknown): void;
}

/** Outputs of an item, and the times of its run. */
export interface ItemResult {
  readonly outputs: readonly OnnxTensor[];
  /** Rows of the item. */
  readonly rows: number;
  /** The item left the queue: it is concatenated with others and handed to the network's thread. */
  readonly startedAtMs: number;
  /** The network began to run, as far as the length of the run tells. */
  readonly executingAtMs: number;
  readonly endedAtMs: number;
  /** Rows in the run. */
  readonly batchRows: number;
}

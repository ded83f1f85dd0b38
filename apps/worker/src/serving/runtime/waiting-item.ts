import type { OnnxTensor } from './messages.ts';
import type { RunCaller } from './run-caller.ts';

/** Who goes first: somebody who waits, or work that may take its time. */
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
  /** Items share a run only when their keys are equal; null: this one runs by itself, also when a shared run was refused. */
  key: string | null;
  readonly caller: RunCaller;
  readonly priority: Priority;
  readonly enqueuedAtMs: number;
  /** Its run begins. */
  started(): void;
  resolve(result: ItemResult): void;
  reject(error: unknown): void;
}

/** What an item's run gave, and when it was. */
export interface ItemResult {
  readonly outputs: readonly OnnxTensor[];
  /** The item left the queue: it is joined with others and handed to the network's thread. */
  readonly startedAtMs: number;
  /** The network began to run, as far as the length of the run tells. */
  readonly executingAtMs: number;
  readonly endedAtMs: number;
  /** Rows in the run. */
  readonly batchRows: number;
}

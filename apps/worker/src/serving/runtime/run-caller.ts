import type { OnnxTensor } from './messages.ts';

/** The call that a run is made for: whom it is charged to, and what a crash of it is attributed to. */
export interface RunCaller {
  /** Tenant of the verified token. */
  readonly tenantId: string;
  /** Coarse size of the item as it was submitted, whatever chunks it runs in; see `shapeClassOf`. */
  readonly shapeClass: string;
  /** Elements of all tensors of the item or chunk that runs. */
  readonly elements: number;
  /** Its runs share neither a batch with other tenants nor the process with other runs: it was running when a process crashed. */
  readonly runsAlone: boolean;
}

/** Elements of all tensors together. */
export function elementsOf(feeds: readonly OnnxTensor[]): number {
  return feeds.reduce((sum, feed) => sum + feed.data.length, 0);
}

/** Calls of one class differ by less than a factor of two in rows and in elements: `<log2 of rows>x<log2 of elements>`. */
export function shapeClassOf(rows: number, elements: number): string {
  return `${magnitude(rows)}x${magnitude(elements)}`;
}

function magnitude(count: number): number {
  return Math.floor(Math.log2(Math.max(1, count)));
}

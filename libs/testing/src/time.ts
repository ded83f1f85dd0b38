import type { Clock, Ids } from '@weir/kernel';

/** A clock that stands still until it is moved. */
export class TestClock implements Clock {
  #nowMs: number;

  /** @param start ISO 8601; default noon of a day in a 31-day month, far from any boundary */
  constructor(start = '2026-03-14T12:00:00.000Z') {
    this.#nowMs = Date.parse(start);
  }

  now(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  set(instant: string): void {
    this.#nowMs = Date.parse(instant);
  }
}

/** Ids that count: `prefix-1`, `prefix-2`, … */
export function countingIds(prefix = 'id'): Ids {
  let count = 0;
  return { next: () => `${prefix}-${++count}` };
}

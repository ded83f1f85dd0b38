import { setTimeout as delay } from 'node:timers/promises';

export interface BackOffBounds {
  /** Wait after the first failure. */
  readonly firstMs: number;
  /** Longest wait. */
  readonly maxMs: number;
}

/** Exponential waits with jitter: full waits would bring everyone back at the same moment. */
export class BackOff {
  private failures = 0;
  private readonly bounds: BackOffBounds;

  constructor(bounds: BackOffBounds) {
    this.bounds = bounds;
  }

  /** How long to wait after one more failure: between half and all of the doubled bound. */
  nextMs(): number {
    const fullMs = Math.min(this.bounds.maxMs, this.bounds.firstMs * 2 ** Math.min(this.failures, 30));
    this.failures++;
    return fullMs * (0.5 + Math.random() / 2);
  }

  /** After a success the next failure waits shortly again. */
  reset(): void {
    this.failures = 0;
  }
}

/** Waits, but not beyond the abort of `signal`; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** A failed handler: soon at first (a lock, a deadlock), then at most each 10 s, so that a repair is noticed soon. */
export const REPLAY_BACK_OFF: BackOffBounds = { firstMs: 100, maxMs: 10_000 };
/** A bus that is away: a restart takes a second or two, and 2 s bounds how late everyone is back. */
export const RECONNECT_BACK_OFF: BackOffBounds = { firstMs: 50, maxMs: 2_000 };

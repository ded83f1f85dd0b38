import { AppError } from '@weir/kernel';

export interface FairSemaphoreOptions {
  /** Permits in all. */
  readonly permits: number;
  /** Most permits that one key holds at once: its share. */
  readonly permitsPerKey: number;
  /** Most requests of one key that wait for a permit; more are refused at once. */
  readonly waitingPerKey: number;
  /** Error message for a caller over its share. */
  readonly refusal: string;
}

/** How long a request waits for its permit. */
export interface Wait {
  readonly timeoutMs: number;
  /** Aborted when the client disconnects. Asked for only by who waits: making one costs as much as recognising a key. */
  signal(): AbortSignal;
}

/** Wait that is advised to a refused caller: about the time of a quick answer. */
const RETRY_AFTER_MS = 1_000;

interface Waiter {
  grant(): void;
  refuse(error: AppError): void;
}

interface KeyState {
  held: number;
  readonly waiting: Waiter[];
}

/**
 * A semaphore whose permits are shared fairly between keys (tenants, addresses): each key holds at most its share, and free permits go
 * to the keys that wait in round-robin order, so that one key's queue does not delay another's. Its memory is bounded by the keys that
 * hold or wait.
 */
export class FairSemaphore {
  readonly #options: FairSemaphoreOptions;
  /** In round-robin order: the key that was granted a permit last is last. */
  readonly #keys = new Map<string, KeyState>();
  #free: number;

  constructor(options: FairSemaphoreOptions) {
    this.#options = options;
    this.#free = options.permits;
  }

  /**
   * Takes a permit of `key`, or waits for one.
   *
   * @returns releases the permit; further calls do nothing
   * @throws limit.in_flight the key's queue is full, or no permit became free in time
   * @throws request.cancelled the client disconnected while it waited
   */
  async acquire(key: string, wait: Wait): Promise<() => void> {
    const state = this.#keys.get(key) ?? { held: 0, waiting: [] };
    if (this.#free > 0 && state.held < this.#options.permitsPerKey && state.waiting.length === 0) this.#take(key, state);
    else await this.#queue(key, state, wait);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#release(key, state);
    };
  }

  #take(key: string, state: KeyState): void {
    state.held += 1;
    this.#free -= 1;
    this.#keys.delete(key);
    this.#keys.set(key, state);
  }

  async #queue(key: string, state: KeyState, wait: Wait): Promise<void> {
    if (state.waiting.length >= this.#options.waitingPerKey) throw this.#refused();
    const { timeoutMs } = wait;
    const signal = wait.signal();
    if (signal.aborted) throw new AppError('request.cancelled');
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const leave = (error: AppError): void => {
        state.waiting.splice(state.waiting.indexOf(waiter), 1);
        waiter.refuse(error);
        this.#forget(key, state);
      };
      const waiter: Waiter = {
        grant: () => {
          settle();
          resolve();
        },
        refuse: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = (): void => leave(new AppError('request.cancelled'));
      const timer = setTimeout(() => leave(this.#refused()), timeoutMs);
      signal.addEventListener('abort', onAbort, { once: true });
      state.waiting.push(waiter);
      this.#keys.set(key, state);
    });
  }

  #release(key: string, state: KeyState): void {
    state.held -= 1;
    this.#free += 1;
    this.#forget(key, state);
    for (const [next, waiting] of this.#keys) {
      if (waiting.held >= this.#options.permitsPerKey) continue;
      const waiter = waiting.waiting.shift();
      if (waiter === undefined) continue;
      this.#take(next, waiting);
      waiter.grant();
      return;
    }
  }

  #forget(key: string, state: KeyState): void {
    if (state.held === 0 && state.waiting.length === 0) this.#keys.delete(key);
  }

  #refused(): AppError {
    return new AppError('limit.in_flight', { message: this.#options.refusal, retryAfterMs: RETRY_AFTER_MS });
  }
}

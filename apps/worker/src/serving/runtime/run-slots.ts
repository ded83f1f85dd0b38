/** A network as far as sharing the processor goes. */
export interface Runnable {
  /** Has it something to run, and a thread that is free? */
  readonly isWaiting: boolean;
  readonly hasInteractive: boolean;
  /** Must its next run have the process to itself? */
  readonly runsAlone: boolean;
  /** Milliseconds that its next run is expected to take. */
  readonly expectedMs: number;
  /** Starts the next run; resolves when it has ended, with the milliseconds that it took. */
  start(): Promise<number>;
}

/** A run that takes longer is heavy: heavy ones never hold every slot, so that a light one never waits for them. */
const HEAVY_MS = 20;

/**
 * Shares the processor between networks: at most `slots` runs at once (threads of one run × slots = cores), the one
 * that has had least time goes next (start-time fair queueing), interactive work before batch work, and heavy
 * runs leave one slot to light ones where there are two or more.
 */
export class RunSlots {
  readonly #slots: number;
  readonly #heavySlots: number;
  /** Time that each network has had, on a common clock that moves with the networks that run. */
  readonly #served = new Map<Runnable, number>();
  #running = 0;
  #runningHeavy = 0;
  #now = 0;
  #isPending = false;
  /** The run in progress has the process to itself. */
  #isExclusive = false;

  constructor(slots: number) {
    this.#slots = slots;
    this.#heavySlots = Math.max(1, slots - 1);
  }

  add(runnable: Runnable): void {
    this.#served.set(runnable, this.#now);
  }

  remove(runnable: Runnable): void {
    this.#served.delete(runnable);
  }

  /** Looks for work once the calls that have arrived together are in their queues: nobody waits longer for it. */
  wake(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    setImmediate(() => {
      this.#isPending = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#running < this.#slots && !this.#isExclusive) {
      const next = this.#next();
      // The runs in progress end first; none starts meanwhile, so that the wait is at most as long as the longest of them.
      if (next === null || (next.runsAlone && this.#running > 0)) return;
      void this.#run(next);
    }
  }

  #next(): Runnable | null {
    let chosen: Runnable | null = null;
    let least = Infinity;
    for (const [runnable, served] of this.#served) {
      if (!runnable.isWaiting) continue;
      if (runnable.expectedMs > HEAVY_MS && this.#runningHeavy >= this.#heavySlots) continue;
      // Who was idle does not save time up.
      const at = Math.max(served, this.#now - HEAVY_MS);
      const rank = runnable.hasInteractive ? at : at + 1e12;
      if (rank < least) {
        least = rank;
        chosen = runnable;
      }
    }
    return chosen;
  }

  async #run(runnable: Runnable): Promise<void> {
    const isHeavy = runnable.expectedMs > HEAVY_MS;
    const served = Math.max(this.#served.get(runnable) ?? 0, this.#now - HEAVY_MS);
    this.#now = Math.max(this.#now, served);
    this.#running++;
    this.#isExclusive = runnable.runsAlone;
    if (isHeavy) this.#runningHeavy++;
    let ms = 0;
    try {
      ms = await runnable.start();
    } finally {
      this.#running--;
      this.#isExclusive = false;
      if (isHeavy) this.#runningHeavy--;
      if (this.#served.has(runnable)) this.#served.set(runnable, Math.max(served, this.#served.get(runnable) ?? 0) + ms);
      this.#dispatch();
    }
  }
}

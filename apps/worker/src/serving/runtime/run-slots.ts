import type { RunCaller } from './run-caller.ts';
import { TenantClock } from './tenant-clock.ts';
import type { Priority } from './waiting-item.ts';

/** Next run of a network. */
export interface NextRun {
  /** Start tag of its tenant on the process's clock, in milliseconds. */
  readonly startMs: number;
  /** Milliseconds that the run is expected to take. */
  readonly expectedMs: number;
  /** Must it have the process to itself? */
  readonly runsAlone: boolean;
}

/** A network as far as sharing the processor goes. */
export interface Runnable {
  /** Has it something to run, and a thread that is free? */
  readonly isWaiting: boolean;
  /** Its next run of this priority; null when nothing of it waits. */
  next(priority: Priority): NextRun | null;
  /** Starts that run; resolves when it has ended, with the milliseconds that it took. */
  start(priority: Priority): Promise<number>;
}

/** A run that takes longer is heavy: heavy ones never hold every slot, so that a light one never waits for them. */
const HEAVY_MS = 20;
/** Interactive work goes first, but while batch work waits it gets at least one part in so many of the time. */
const BATCH_SHARE = 16;

/** Time over which a network's use of the processor is remembered, in milliseconds of the processor. */
const REMEMBERED_MS = 200;

interface Candidate extends NextRun {
  readonly runnable: Runnable;
  readonly priority: Priority;
  readonly usedMs: number;
}

/**
 * Shares the processor between tenants and networks: at most `slots` runs at once (threads of one run × slots = cores). Interactive
 * work goes before batch work, which keeps a sixteenth of the time; then the tenant that is behind on the clock of the process goes
 * first, whichever of its networks it calls (start-time fair queueing); then the network that has used least time of late. Heavy runs leave
 * one slot to light ones where there are two or more.
 */
export class RunSlots {
  /** Clock of the tenants, over all networks of the process. */
  readonly tenants = new TenantClock();
  readonly #slots: number;
  readonly #heavySlots: number;
  /** Time that each network has used of late, in milliseconds: it decays with the runs of all. */
  readonly #used = new Map<Runnable, number>();
  #running = 0;
  #runningHeavy = 0;
  /** Interactive time since batch work that waits was served. */
  #interactiveMs = 0;
  #isPending = false;
  /** The run in progress has the process to itself. */
  #isExclusive = false;

  constructor(slots: number) {
    this.#slots = slots;
    this.#heavySlots = Math.max(1, slots - 1);
  }

  add(runnable: Runnable): void {
    this.#used.set(runnable, 0);
  }

  remove(runnable: Runnable): void {
    this.#used.delete(runnable);
  }

  /** Charges a caller for its part of a run. A run that has the process to itself takes the time of all slots. */
  charge({ tenantId, runsAlone }: RunCaller, ms: number): void {
    this.tenants.charge(tenantId, runsAlone ? ms * this.#slots : ms);
  }

  /** Looks for work once the calls that have arrived together are in their queues: none of them waits longer for it. */
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
      if (next === null || (next.runsAlone && this.#running > 0)) break;
      void this.#run(next);
    }
    if (this.#running === 0 && this.#hasNone()) this.tenants.reset();
  }

  #next(): Candidate | null {
    const interactive = this.#first('interactive');
    const batch = this.#first('batch');
    if (batch === null) this.#interactiveMs = 0;
    if (interactive === null || batch === null) return interactive ?? batch;
    return this.#interactiveMs >= Math.max(1, batch.expectedMs) * (BATCH_SHARE - 1) ? batch : interactive;
  }

  #first(priority: Priority): Candidate | null {
    let first: Candidate | null = null;
    for (const [runnable, usedMs] of this.#used) {
      const next = runnable.isWaiting ? runnable.next(priority) : null;
      if (next === null) continue;
      if (next.expectedMs > HEAVY_MS && this.#runningHeavy >= this.#heavySlots) continue;
      const isBefore = first === null || next.startMs < first.startMs || (next.startMs === first.startMs && usedMs < first.usedMs);
      if (isBefore) first = { ...next, runnable, priority, usedMs };
    }
    return first;
  }

  #hasNone(): boolean {
    for (const runnable of this.#used.keys()) if (runnable.next('interactive') !== null || runnable.next('batch') !== null) return false;
    return true;
  }

  async #run({ runnable, priority, expectedMs, runsAlone }: Candidate): Promise<void> {
    const isHeavy = expectedMs > HEAVY_MS;
    this.#running++;
    this.#isExclusive = runsAlone;
    if (isHeavy) this.#runningHeavy++;
    if (priority === 'batch') this.#interactiveMs = 0;
    let ms = 0;
    try {
      ms = await runnable.start(priority);
    } finally {
      this.#running--;
      this.#isExclusive = false;
      if (isHeavy) this.#runningHeavy--;
      if (priority === 'interactive') this.#interactiveMs += ms;
      for (const [each, usedMs] of this.#used) this.#used.set(each, usedMs * Math.exp(-ms / REMEMBERED_MS) + (each === runnable ? ms : 0));
      this.#dispatch();
    }
  }
}

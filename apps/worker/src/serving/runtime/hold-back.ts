import { ReturningCallers } from './returning-callers.ts';

/** Holds the next run of a network back for callers who come again, and lets it go when they are there or their moment is over. */
export class HoldBack {
  readonly #callers = new ReturningCallers();
  readonly #onRelease: () => void;
  #answering: NodeJS.Immediate | undefined;
  #moment: NodeJS.Timeout | undefined;

  /** @param onRelease called when the moment is over: what waits may run */
  constructor(onRelease: () => void) {
    this.#onRelease = onRelease;
  }

  arrived(): void {
    this.#callers.arrived(performance.now());
  }

  /** A run has ended; its answers are written before anything else happens. See `ReturningCallers.ended`. */
  ended(items: number, waiting: number, perRunMs: number): void {
    this.close();
    const ms = this.#callers.ended(items, waiting, perRunMs);
    this.#answering = setImmediate(() => {
      this.#callers.answered(performance.now());
      if (ms > 0) this.#moment = setTimeout(() => this.#release(), ms);
    });
  }

  /** Is the next run held back while so many items wait for it? */
  isHolding(waiting: number): boolean {
    return this.#callers.areAwaited(waiting);
  }

  close(): void {
    clearImmediate(this.#answering);
    clearTimeout(this.#moment);
  }

  #release(): void {
    this.#callers.giveUp();
    this.#onRelease();
  }
}

/** A call that waits at the gate. */
interface Place {
  readonly open: () => void;
}

interface Lane {
  inside: number;
  readonly waiting: Set<Place>;
}

/**
 * Bounds how many calls of one tenant are prepared at once (tokens, pixels): preparation shares one thread between the calls, so that a
 * tenant with many calls would take it from the others. Further calls of the tenant wait in the order of arrival, each until its
 * signal is aborted.
 */
export class TenantGate {
  readonly #width: number;
  readonly #lanes = new Map<string, Lane>();

  /** @param width calls of a tenant that may be inside at once */
  constructor(width: number) {
    this.#width = width;
  }

  /** Tenants with calls inside or waiting. */
  get tenants(): number {
    return this.#lanes.size;
  }

  /**
   * Waits for room.
   *
   * @returns what leaves again; calling it twice does nothing
   * @throws the reason of the signal when it is aborted before
   */
  async enter(tenantId: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    let lane = this.#lanes.get(tenantId);
    if (lane === undefined) this.#lanes.set(tenantId, (lane = { inside: 0, waiting: new Set() }));
    if (lane.inside < this.#width) lane.inside++;
    else await this.#turn(lane, signal);
    const entered = lane;
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#leave(tenantId, entered);
    };
  }

  #turn(lane: Lane, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = (): void => {
        lane.waiting.delete(place);
        reject(signal.reason);
      };
      const place: Place = {
        open: () => {
          signal.removeEventListener('abort', cancel);
          resolve();
        },
      };
      lane.waiting.add(place);
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  #leave(tenantId: string, lane: Lane): void {
    for (const next of lane.waiting) {
      // Its room passes on to the next one.
      lane.waiting.delete(next);
      next.open();
      return;
    }
    lane.inside--;
    if (lane.inside === 0) this.#lanes.delete(tenantId);
  }
}

import { WORKER_EXPIRY_MS, type WorkerState } from '@weir/contracts';

interface Seen {
  readonly worker: WorkerState;
  /** When this process learned of it: the worker's own clock may differ. */
  readonly seenAtMs: number;
}

/** A worker that has a version ready, and where calls of this version go. */
export interface ReadyWorker {
  readonly id: string;
  readonly url: string;
}

const NONE: readonly ReadyWorker[] = [];

/**
 * The workers that announced themselves, and which of them have a version ready. Look-ups are by key; the work is
 * done when a worker announces itself, and once a second for those that fell silent.
 */
export class WorkerDirectory {
  readonly #seen = new Map<string, Seen>();
  readonly #readyByVersion = new Map<string, readonly ReadyWorker[]>();
  readonly #expired = new Set<string>();
  /** Since when announcements arrive again after a break; null during one. Before the first break a replayed word counts by its age. */
  #liveSinceMs: number | null = -Infinity;

  /** A worker announced itself; undefined when it said goodbye. */
  apply(workerId: string, worker: WorkerState | undefined, nowMs: number, isReplay: boolean): void {
    const before = this.#seen.get(workerId)?.worker;
    this.#expired.delete(workerId);
    if (worker === undefined) this.#seen.delete(workerId);
    // What is replayed may be long gone; then its own time counts.
    else this.#seen.set(workerId, { worker, seenAtMs: isReplay ? Math.min(nowMs, Date.parse(worker.heartbeatAt)) : nowMs });
    this.#reindex(before, worker);
  }

  /**
   * Forgets workers that have been silent for `WORKER_EXPIRY_MS`. Silence counts only while announcements could
   * arrive: when the bus is away nobody is heard, and the workers that were there are still the best guess.
   */
  expire(nowMs: number, isLive: boolean): void {
    if (!isLive) {
      this.#liveSinceMs = null;
      return;
    }
    this.#liveSinceMs ??= nowMs;
    for (const [workerId, { worker, seenAtMs }] of this.#seen) {
      const lastChanceMs = Math.max(seenAtMs, this.#liveSinceMs) + WORKER_EXPIRY_MS;
      if (nowMs < lastChanceMs || this.#expired.has(workerId)) continue;
      this.#expired.add(workerId);
      this.#reindex(worker, worker);
    }
  }

  /** The workers that are heard. */
  live(): readonly WorkerState[] {
    return [...this.#seen].filter(([workerId]) => !this.#expired.has(workerId)).map(([, { worker }]) => worker);
  }

  /** Live workers that have the version ready and take new work. */
  readyFor(versionId: string): readonly ReadyWorker[] {
    return this.#readyByVersion.get(versionId) ?? NONE;
  }

  #reindex(before: WorkerState | undefined, after: WorkerState | undefined): void {
    const touched = new Set([...(before?.versions ?? []), ...(after?.versions ?? [])].map((version) => version.versionId));
    for (const versionId of touched) {
      const ready = this.live().flatMap((worker) => readyWorker(worker, versionId) ?? []);
      if (ready.length === 0) this.#readyByVersion.delete(versionId);
      else this.#readyByVersion.set(versionId, ready);
    }
  }
}

function readyWorker({ id, url, state, versions }: WorkerState, versionId: string): ReadyWorker | null {
  const version = versions.find((one) => one.versionId === versionId);
  return state === 'serving' && version?.state === 'ready' ? { id, url: version.url ?? url } : null;
}

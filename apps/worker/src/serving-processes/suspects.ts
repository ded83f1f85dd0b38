/** Crashes of one version within this time count together. */
const WINDOW_MS = 10 * 60_000;
/** So many crashes that are surely its own end a version. */
const MAX_CRASHES = 3;

/**
 * Who is at fault when a process ends: the versions that were running. Each of them gets a process of its own from
 * then on, so that the next crash tells who it was, and hurts nobody else; who crashes alone again and again is given up.
 */
export class Suspects {
  readonly #crashes = new Map<string, number[]>();
  readonly #alone = new Set<string>();

  /**
   * A process ended, or had to be ended.
   *
   * @param running versions that were running in it
   */
  crashed(running: readonly string[], nowMs: number): void {
    const isCertain = running.length === 1;
    for (const versionId of running) {
      this.#alone.add(versionId);
      if (!isCertain) continue;
      const recent = (this.#crashes.get(versionId) ?? []).filter((at) => nowMs - at < WINDOW_MS);
      recent.push(nowMs);
      this.#crashes.set(versionId, recent);
    }
  }

  /** Must it have a process of its own? */
  isSuspect(versionId: string): boolean {
    return this.#alone.has(versionId);
  }

  /** Has it crashed too often to be tried again? */
  isGivenUp(versionId: string): boolean {
    return (this.#crashes.get(versionId)?.length ?? 0) >= MAX_CRASHES;
  }

  /** Forgets a version that is not placed here any more. */
  forget(versionId: string): void {
    this.#crashes.delete(versionId);
    this.#alone.delete(versionId);
  }
}

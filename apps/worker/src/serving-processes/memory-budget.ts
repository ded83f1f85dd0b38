/** A version in memory. */
export interface InMemoryVersion {
  readonly versionId: string;
  readonly bytes: number;
  /** Milliseconds since its last call. */
  readonly idleMs: number;
  /** Calls are under way. */
  readonly isBusy: boolean;
}

/**
 * Which versions to unload so that `neededBytes` fit into the budget: idle ones, the longest unused first, and no
 * more than it takes. Null when they would not fit even then.
 */
export function evictions(budgetBytes: number, neededBytes: number, inMemory: readonly InMemoryVersion[]): string[] | null {
  let free = budgetBytes - inMemory.reduce((sum, version) => sum + version.bytes, 0);
  const chosen: string[] = [];
  const idle = inMemory.filter((version) => !version.isBusy).sort((a, b) => b.idleMs - a.idleMs);
  for (const version of idle) {
    if (free >= neededBytes) break;
    free += version.bytes;
    chosen.push(version.versionId);
  }
  return free >= neededBytes ? chosen : null;
}

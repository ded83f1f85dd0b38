/** A version that callers can reach through an alias. */
export interface DeployedVersion {
  readonly versionId: string;
  readonly sizeBytes: number;
}

/** A version on a worker. */
export interface Placement {
  readonly workerId: string;
  readonly versionId: string;
}

/** A worker that lives and takes work. */
export interface LiveWorker {
  readonly id: string;
  /** Bytes of model files that it may load. */
  readonly memoryBytes: number;
}

export interface PlacementQuestion {
  readonly versions: readonly DeployedVersion[];
  readonly placements: readonly Placement[];
  readonly workers: readonly LiveWorker[];
  /** Workers that each version is to be on, as far as there are so many. */
  readonly replicas: number;
}

export interface PlacementDecision {
  readonly place: readonly Placement[];
  readonly withdraw: readonly Placement[];
  /** Versions that no live worker has room for. */
  readonly homeless: readonly string[];
}

/**
 * Where versions are to be. What is well placed stays, because loading costs; a version on a worker that is gone is
 * moved, and its old placement is withdrawn with the move: as long as there is no other worker it stays, so that the
 * same worker finds it again when it comes back.
 */
export function decidePlacements({ versions, placements, workers, replicas }: PlacementQuestion): PlacementDecision {
  const sizes = new Map(versions.map((version) => [version.versionId, version.sizeBytes]));
  const live = new Map(workers.map((worker) => [worker.id, { ...worker, usedBytes: 0 }]));
  const withdraw: Placement[] = placements.filter((placement) => !sizes.has(placement.versionId));
  const place: Placement[] = [];
  const homeless: string[] = [];
  for (const { workerId, versionId } of placements) {
    const worker = live.get(workerId);
    if (worker !== undefined) worker.usedBytes += sizes.get(versionId) ?? 0;
  }
  // The largest first: they are the hardest to find room for. The id makes the order the same everywhere.
  const ordered = [...versions].sort((a, b) => b.sizeBytes - a.sizeBytes || (a.versionId < b.versionId ? -1 : 1));
  for (const { versionId, sizeBytes } of ordered) {
    const own = placements.filter((placement) => placement.versionId === versionId);
    const lost = own.filter((placement) => !live.has(placement.workerId));
    const kept = own.filter((placement) => live.has(placement.workerId));
    const surplus = byLoad(kept.flatMap((placement) => live.get(placement.workerId) ?? []))
      .reverse()
      .slice(0, Math.max(0, kept.length - replicas));
    for (const worker of surplus) {
      withdraw.push({ workerId: worker.id, versionId });
      worker.usedBytes -= sizeBytes;
    }
    const holders = new Set(kept.map((placement) => placement.workerId));
    const free = byLoad(
      [...live.values()].filter((worker) => !holders.has(worker.id) && worker.usedBytes + sizeBytes <= worker.memoryBytes),
    );
    const chosen = free.slice(0, Math.max(0, replicas - kept.length));
    for (const worker of chosen) {
      place.push({ workerId: worker.id, versionId });
      worker.usedBytes += sizeBytes;
    }
    const found = Math.min(kept.length, replicas) + chosen.length;
    if (found === 0) homeless.push(versionId);
    withdraw.push(...lost.slice(0, found >= replicas ? lost.length : chosen.length));
  }
  return { place, withdraw, homeless };
}

/** The emptiest first. */
function byLoad<W extends LiveWorker & { readonly usedBytes: number }>(workers: readonly W[]): W[] {
  return [...workers].sort((a, b) => a.usedBytes / a.memoryBytes - b.usedBytes / b.memoryBytes || (a.id < b.id ? -1 : 1));
}

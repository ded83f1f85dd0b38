import type { BackEndKind, Device } from '@weir/contracts';

/** A version that callers can reach through an alias. */
export interface DeployedVersion {
  readonly versionId: string;
  readonly tenantId: string;
  /** Of a model that every tenant may use. */
  readonly isPublic: boolean;
  /** Memory that is reserved for it on a worker (`reservedBytes`); 0 where another server runs it. */
  readonly memoryBytes: number;
  readonly backend: BackEndKind;
  /** The execution provider that a worker has to offer; null where any will do. */
  readonly accelerator: string | null;
}

/** A version on a worker. */
export interface Placement {
  readonly workerId: string;
  readonly versionId: string;
}

/** A worker that lives and takes work. */
export interface LiveWorker {
  readonly id: string;
  /** Bytes of memory that its models may take. */
  readonly memoryBytes: number;
  readonly devices: readonly Device[];
  /** Kinds of back ends whose versions it takes. */
  readonly backends: readonly string[];
  /** Versions that it has, placed or not. */
  readonly holds: ReadonlySet<string>;
}

export interface PlacementQuestion {
  readonly versions: readonly DeployedVersion[];
  readonly placements: readonly Placement[];
  readonly workers: readonly LiveWorker[];
  /** Workers that each version is to be on, as far as there are so many. */
  readonly replicas: number;
  /** Bytes that may be reserved for the versions of a tenant, each counted once. */
  readonly memoryQuotaOf: (tenantId: string) => number;
}

export interface PlacementDecision {
  readonly place: readonly Placement[];
  readonly withdraw: readonly Placement[];
  /** Versions that no live worker can take, and why in a sentence. */
  readonly problems: ReadonlyMap<string, string>;
}

/**
 * Where versions are to be. A version is put only on a worker that takes its back end, offers the accelerator that it asks
 * for, and has room: in the memory of the worker, and in that of the device where the accelerator has its own. What is
 * well placed stays, because loading costs; a version on a worker that is gone is moved, and its old placement is
 * withdrawn with the move: as long as there is no other worker it stays, so that the same worker finds it again when it
 * comes back. A worker that lives but lacks what the version asks for loses it at once. Versions of public models come first:
 * where one has no room on any worker, private versions make room for it. For a tenant no more memory is reserved than its
 * quota; what is placed stays when the quota becomes smaller.
 */
export function decidePlacements({ versions, placements, workers, replicas, memoryQuotaOf }: PlacementQuestion): PlacementDecision {
  const known = new Map(versions.map((version) => [version.versionId, version]));
  const live = new Map(workers.map((worker) => [worker.id, new WorkerLoad(worker)]));
  const withdraw: Placement[] = [];
  const place: Placement[] = [];
  const problems = new Map<string, string>();
  const stays: Placement[] = [];
  for (const placement of placements) {
    const version = known.get(placement.versionId);
    const load = live.get(placement.workerId);
    if (version === undefined || (load !== undefined && lack(version, load.worker) !== null)) withdraw.push(placement);
    else {
      stays.push(placement);
      load?.add(version);
    }
  }
  // Public ones first, then the largest: they are the hardest to find room for. The id makes the order the same everywhere.
  const ordered = [...versions].sort(
    (a, b) => Number(b.isPublic) - Number(a.isPublic) || b.memoryBytes - a.memoryBytes || (a.versionId < b.versionId ? -1 : 1),
  );
  for (const version of ordered) {
    const { versionId } = version;
    const own = stays.filter((placement) => placement.versionId === versionId);
    if (own.length === 0) {
      const { tenantId, memoryBytes } = version;
      const usedBytes = reservedFor(tenantId, known, [...stays, ...place]);
      if (usedBytes + memoryBytes > memoryQuotaOf(tenantId)) {
        problems.set(versionId, quotaProblem(memoryBytes, usedBytes, memoryQuotaOf(tenantId)));
        continue;
      }
    }
    const lost = own.filter((placement) => !live.has(placement.workerId));
    const kept = own.flatMap((placement) => live.get(placement.workerId) ?? []);
    for (const load of kept.toSorted(byLoad).slice(Math.min(kept.length, replicas))) {
      withdraw.push({ workerId: load.worker.id, versionId });
      load.remove(version);
    }
    const free = [...live.values()].filter(
      (load) => !kept.includes(load) && lack(version, load.worker) === null && load.hasRoomFor(version),
    );
    const chosen = free
      .sort((a, b) => Number(b.worker.holds.has(versionId)) - Number(a.worker.holds.has(versionId)) || byLoad(a, b))
      .slice(0, Math.max(0, replicas - kept.length));
    if (version.isPublic && kept.length === 0 && chosen.length === 0) {
      const displaced = displacedBy(version, [...live.values()], stays, known);
      for (const placement of displaced?.placements ?? []) {
        stays.splice(stays.indexOf(placement), 1);
        withdraw.push(placement);
      }
      if (displaced !== null) chosen.push(displaced.load);
    }
    for (const load of chosen) {
      place.push({ workerId: load.worker.id, versionId });
      load.add(version);
    }
    const found = Math.min(kept.length, replicas) + chosen.length;
    if (found === 0) problems.set(versionId, problemOf(version, workers));
    withdraw.push(...lost.slice(0, found >= replicas ? lost.length : chosen.length));
  }
  return { place, withdraw, problems };
}

/**
 * The worker on which the fewest bytes of private versions have to make room for a public one, with their placements, which are taken
 * from its load; null when none has room even then.
 */
function displacedBy(
  version: DeployedVersion,
  loads: readonly WorkerLoad[],
  stays: readonly Placement[],
  known: ReadonlyMap<string, DeployedVersion>,
): { readonly load: WorkerLoad; readonly placements: readonly Placement[] } | null {
  const options = loads
    .filter((load) => lack(version, load.worker) === null)
    .flatMap((load) => {
      const isPrivate = (versionId: string): boolean => known.get(versionId)?.isPublic === false;
      const candidates = stays
        .filter(({ workerId, versionId }) => workerId === load.worker.id && isPrivate(versionId))
        .flatMap((placement) => {
          const neighbour = known.get(placement.versionId);
          return neighbour === undefined || neighbour.memoryBytes === 0 ? [] : [{ placement, neighbour }];
        })
        .sort((a, b) => b.neighbour.memoryBytes - a.neighbour.memoryBytes || (a.neighbour.versionId < b.neighbour.versionId ? -1 : 1));
      const taken: typeof candidates = [];
      for (const candidate of candidates) {
        if (load.hasRoomFor(version)) break;
        load.remove(candidate.neighbour);
        taken.push(candidate);
      }
      const fits = load.hasRoomFor(version);
      for (const { neighbour } of taken) load.add(neighbour);
      return fits ? [{ load, taken, bytes: taken.reduce((sum, { neighbour }) => sum + neighbour.memoryBytes, 0) }] : [];
    });
  const [best] = options.sort((a, b) => a.bytes - b.bytes || byLoad(a.load, b.load));
  if (best === undefined) return null;
  for (const { neighbour } of best.taken) best.load.remove(neighbour);
  return { load: best.load, placements: best.taken.map(({ placement }) => placement) };
}

/** Bytes that are reserved for the versions of a tenant, each counted once. */
function reservedFor(tenantId: string, known: ReadonlyMap<string, DeployedVersion>, placements: readonly Placement[]): number {
  let bytes = 0;
  for (const versionId of new Set(placements.map((placement) => placement.versionId))) {
    const version = known.get(versionId);
    if (version?.tenantId === tenantId) bytes += version.memoryBytes;
  }
  return bytes;
}

function quotaProblem(neededBytes: number, usedBytes: number, allowedBytes: number): string {
  return `The tenant may have ${allowedBytes} bytes of memory reserved (quota memoryBytes): ${usedBytes} are, and it needs ${neededBytes} more.`;
}

/** What a worker has to do already. */
class WorkerLoad {
  readonly worker: LiveWorker;
  #usedBytes = 0;
  #versions = 0;
  readonly #usedDeviceBytes = new Map<string, number>();

  constructor(worker: LiveWorker) {
    this.worker = worker;
  }

  /** Part of its memory that is used. */
  get fullness(): number {
    return this.worker.memoryBytes === 0 ? 1 : this.#usedBytes / this.worker.memoryBytes;
  }

  get versions(): number {
    return this.#versions;
  }

  add(version: DeployedVersion): void {
    this.#count(version, 1);
  }

  remove(version: DeployedVersion): void {
    this.#count(version, -1);
  }

  hasRoomFor(version: DeployedVersion): boolean {
    if (this.#usedBytes + version.memoryBytes > this.worker.memoryBytes) return false;
    const device = deviceMemory(version, this.worker);
    return device === null || (this.#usedDeviceBytes.get(device.name) ?? 0) + version.memoryBytes <= device.bytes;
  }

  #count(version: DeployedVersion, sign: 1 | -1): void {
    this.#versions += sign;
    this.#usedBytes += sign * version.memoryBytes;
    const device = deviceMemory(version, this.worker);
    if (device !== null) this.#usedDeviceBytes.set(device.name, (this.#usedDeviceBytes.get(device.name) ?? 0) + sign * version.memoryBytes);
  }
}

/** The emptiest first; of those that are as full the one with the fewest versions. */
function byLoad(a: WorkerLoad, b: WorkerLoad): number {
  return a.fullness - b.fullness || a.versions - b.versions || (a.worker.id < b.worker.id ? -1 : 1);
}

/** Execution providers that share one device's memory. */
const SAME_DEVICE: Readonly<Record<string, string>> = { tensorrt: 'cuda' };

/** The memory of the device that a version asks for; null where it asks for none, or the device has none of its own. */
function deviceMemory({ accelerator }: DeployedVersion, { devices }: LiveWorker): { readonly name: string; readonly bytes: number } | null {
  if (accelerator === null) return null;
  const bytes = devices.find((device) => device.kind === accelerator)?.memoryBytes;
  return bytes === undefined ? null : { name: SAME_DEVICE[accelerator] ?? accelerator, bytes };
}

/** What of a worker does not suit a version, whatever room it has. */
function lack({ backend, accelerator }: DeployedVersion, worker: LiveWorker): 'back end' | 'accelerator' | null {
  if (!worker.backends.includes(backend)) return 'back end';
  if (accelerator !== null && !worker.devices.some((device) => device.kind === accelerator)) return 'accelerator';
  return null;
}

/** Why no worker can take a version; for its owner, so nothing is said of the workers themselves. */
function problemOf(version: DeployedVersion, workers: readonly LiveWorker[]): string {
  const { backend, accelerator, memoryBytes } = version;
  if (workers.length === 0) return 'No worker is running.';
  const lacks = workers.map((worker) => lack(version, worker));
  if (lacks.every((one) => one === 'back end')) return `No running worker takes versions of the back end ${backend}.`;
  const suitable = workers.filter((_, index) => lacks[index] === null);
  if (suitable.length === 0) return `It asks for the accelerator ${accelerator}, which no running worker offers.`;
  const isTooLarge = suitable.every((worker) => !new WorkerLoad(worker).hasRoomFor(version));
  return isTooLarge
    ? `It needs ${memoryBytes} bytes of memory, which no running worker that could take it has.`
    : `It needs ${memoryBytes} bytes of memory, which are not free on any running worker that could take it.`;
}

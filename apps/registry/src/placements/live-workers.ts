import { workerChanged, type Device, type WorkerState, WORKER_EXPIRY_MS } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { projectionOf, type EventBus, type Projection } from '@weir/platform/bus';
import type { Logger } from '@weir/platform/telemetry';
import type { LiveWorker } from './placement.ts';

/** What a worker has that does not say: those of before said nothing of it. */
const DEVICES_BEFORE: readonly Device[] = [{ kind: 'cpu' }];
const BACKENDS_BEFORE: readonly string[] = ['onnxruntime'];

/** The workers that announce themselves, and which of them live. */
export class LiveWorkers {
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** When each was last heard, by this process's clock: the workers' clocks may differ. */
  readonly #heardAtMs = new Map<string, number>();
  #projection: Projection<{ workers: typeof workerChanged }> | null = null;

  constructor(bus: EventBus, logger: Logger, clock: Clock) {
    this.#bus = bus;
    this.#logger = logger;
    this.#clock = clock;
  }

  /** @param onChange called when a worker came, went or changed its state or what it can do; not for a mere sign of life */
  async start(onChange: () => void): Promise<void> {
    const kinds = new Map<string, string>();
    this.#projection = await projectionOf({
      bus: this.#bus,
      logger: this.#logger,
      events: { workers: workerChanged },
      onChange: ({ key, value }) => {
        this.#hear(key, value);
        const kind = value === undefined ? 'gone' : abilitiesOf(value);
        if (kinds.get(key) === kind) return;
        if (value === undefined) kinds.delete(key);
        else kinds.set(key, kind);
        onChange();
      },
    });
    void this.#projection.caughtUp.then(onChange);
  }

  isCaughtUp(): boolean {
    return this.#projection?.isCaughtUp() ?? false;
  }

  /**
   * Those that live and take work; null while that cannot be told, because the topic was not read to its end or the bus
   * does not deliver: then nobody's silence means anything, and it is counted from anew afterwards.
   */
  serving(): readonly LiveWorker[] | null {
    const projection = this.#projection;
    if (projection === null || !projection.isCaughtUp()) return null;
    const now = this.#clock.now();
    if (!projection.isLive()) {
      for (const [id, heardAtMs] of this.#heardAtMs) if (now - heardAtMs < WORKER_EXPIRY_MS) this.#heardAtMs.set(id, now);
      return null;
    }
    return this.#heard(projection, now)
      .filter((worker) => worker.state === 'serving')
      .map(({ id, memoryBytes, devices = DEVICES_BEFORE, backends = BACKENDS_BEFORE, versions }) => ({
        id,
        memoryBytes,
        devices,
        backends,
        holds: new Set(versions.map(({ versionId }) => versionId)),
      }));
  }

  /** Most memory that loading each version took, as the live workers announce it. */
  measured(): ReadonlyMap<string, number> {
    const measured = new Map<string, number>();
    if (this.#projection === null) return measured;
    for (const { versions } of this.#heard(this.#projection, this.#clock.now()))
      for (const { versionId, memoryBytes } of versions)
        if (memoryBytes !== undefined) measured.set(versionId, Math.max(measured.get(versionId) ?? 0, memoryBytes));
    return measured;
  }

  /** What the live workers that have a version say of why it is not ready; null when one has it ready, or none says anything. */
  problemOf(versionId: string): string | null {
    if (this.#projection === null) return null;
    const states = this.#heard(this.#projection, this.#clock.now()).flatMap(({ versions }) =>
      versions.filter((version) => version.versionId === versionId),
    );
    if (states.some(({ state }) => state === 'ready')) return null;
    return states.find(({ error }) => error !== undefined)?.error ?? null;
  }

  async close(): Promise<void> {
    await this.#projection?.close();
  }

  #heard({ maps }: Projection<{ workers: typeof workerChanged }>, now: number): WorkerState[] {
    return [...maps.workers.values()].filter((worker) => now - (this.#heardAtMs.get(worker.id) ?? 0) < WORKER_EXPIRY_MS);
  }

  /** What is replayed was said some time ago, by the worker's clock; what arrives later is news. */
  #hear(id: string, value: WorkerState | undefined): void {
    const now = this.#clock.now();
    if (value === undefined) this.#heardAtMs.delete(id);
    else this.#heardAtMs.set(id, this.isCaughtUp() ? now : Math.min(now, Date.parse(value.heartbeatAt)));
  }
}

/** What placements depend on, as one text. */
function abilitiesOf({ state, memoryBytes, devices, backends, versions }: WorkerState): string {
  const measured = versions.flatMap((version) => (version.memoryBytes === undefined ? [] : [[version.versionId, version.memoryBytes]]));
  return JSON.stringify([state, memoryBytes, devices, backends, measured]);
}

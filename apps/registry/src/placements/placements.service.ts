import type { AddressInfo, Server } from 'node:net';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { placementChanged, type PackageFile, type PlacementState } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import { CLOCK, LOGGER, Readiness, SETTINGS } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import { PLATFORM_TENANT_ID } from '@weir/access';
import { memoryQuotas } from '../quotas/quotas.store.ts';
import type { RegistryDatabase, RegistryTransaction } from '../registry-database.ts';
import type { RegistrySettings } from '../settings.ts';
import { filesOf } from '../versions/versions.store.ts';
import { LiveWorkers } from './live-workers.ts';
import { decidePlacements, type LiveWorker, type Placement } from './placement.ts';
import { PlacementTrigger } from './placement-trigger.ts';
import {
  allPlacements,
  deletePlacement,
  deployedVersions,
  keepMeasured,
  savePlacement,
  takePlacementTurn,
  type AnnouncedPlacement,
  type PlaceableVersion,
} from './placements.store.ts';

/**
 * Keeps every deployed version on live workers. It looks again after each change and regularly; of several registries
 * one looks at a time. Placements and what is announced of them commit together.
 */
@Injectable()
export class PlacementsService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #database: RegistryDatabase;
  readonly #outbox: Outbox;
  readonly #workers: LiveWorkers;
  readonly #trigger: PlacementTrigger;
  readonly #settings: RegistrySettings;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #readiness: Readiness;
  readonly #server: Server;
  #working: Promise<void> | null = null;
  #isStale = false;
  #isStopping = false;
  #timer: NodeJS.Timeout | undefined;
  #problems: ReadonlyMap<string, string> = new Map();
  /** Memory of versions as workers measured it, in bytes, by version id; only what the database holds. */
  readonly #measured = new Map<string, number>();
  /** Visibilities that this process announced, by the key of the placement: at its start it announces all placements. */
  readonly #announced = new Map<string, PlaceableVersion['visibility']>();

  constructor(
    @Inject(Database) database: RegistryDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(LiveWorkers) workers: LiveWorkers,
    @Inject(PlacementTrigger) trigger: PlacementTrigger,
    @Inject(SETTINGS) settings: RegistrySettings,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(Readiness) readiness: Readiness,
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#workers = workers;
    this.#trigger = trigger;
    this.#settings = settings;
    this.#logger = logger;
    this.#clock = clock;
    this.#readiness = readiness;
    this.#server = host.httpAdapter.getHttpServer();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#readiness.add('workers', () => this.#workers.isCaughtUp());
    this.#trigger.listen(() => this.#wake());
    await this.#workers.start(() => this.#wake());
    this.#timer = setInterval(() => this.#wake(), this.#settings.placementIntervalMs);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    await this.#working;
    await this.#workers.close();
  }

  /**
   * Why no worker takes calls of a version, in a sentence for its owner: as this registry saw it when it looked last, or as
   * the workers that have it say. Null when one has it ready, or nothing is known against it.
   */
  problemOf(versionId: string): string | null {
    return this.#problems.get(versionId) ?? this.#workers.problemOf(versionId);
  }

  #wake(): void {
    if (this.#isStopping) return;
    this.#isStale = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
      if (this.#isStale) this.#wake();
    });
  }

  async #work(): Promise<void> {
    while (this.#isStale && !this.#isStopping) {
      this.#isStale = false;
      try {
        await this.#look();
      } catch (error) {
        // The next look does it all again.
        this.#logger.warn({ err: error }, 'placements not looked at');
      }
    }
  }

  async #look(): Promise<void> {
    const workers = this.#workers.serving();
    // The address is not known before the port is open.
    if (workers === null || !this.#server.listening) return;
    const measured = [...this.#workers.measured()].filter(([versionId, bytes]) => bytes > (this.#measured.get(versionId) ?? -1));
    const announced = await this.#database.transaction(ACROSS_TENANTS, async (tx) => {
      if (!(await takePlacementTurn(tx))) return null;
      await keepMeasured(tx, new Map(measured), new Date(this.#clock.now()));
      return this.#place(tx, workers);
    });
    if (announced === null) return;
    for (const [versionId, bytes] of measured) this.#measured.set(versionId, bytes);
    for (const state of announced) this.#announced.set(placementChanged.key(state), state.visibility ?? 'private');
  }

  /** @returns what was announced, once the transaction commits */
  async #place(tx: RegistryTransaction, workers: readonly LiveWorker[]): Promise<PlacementState[]> {
    const { replicas, tenantMemoryBytes } = this.#settings;
    const quotas = await memoryQuotas(tx);
    const memoryQuotaOf = (tenantId: string): number =>
      tenantId === PLATFORM_TENANT_ID ? Infinity : (quotas.get(tenantId) ?? tenantMemoryBytes);
    const versions = new Map((await deployedVersions(tx)).map((version) => [version.versionId, version]));
    const placements = await allPlacements(tx);
    const decision = decidePlacements({ versions: [...versions.values()], placements, workers, replicas, memoryQuotaOf });
    this.#tell(decision.problems);
    const artifactsUrl = this.#artifactsUrl();
    const stays = placements.filter((placement) => !decision.withdraw.some((gone) => isSame(gone, placement)));
    const isCurrent = (placement: AnnouncedPlacement): boolean =>
      placement.artifactsUrl === artifactsUrl &&
      this.#announced.get(placementKey(placement)) === versions.get(placement.versionId)?.visibility;
    // The files are elsewhere when the registry has moved, and a model may have another visibility.
    const announce: Placement[] = [...decision.place, ...stays.filter((placement) => !isCurrent(placement))];
    const files = await filesOf(tx, [...new Set(announce.map((placement) => placement.versionId))]);
    for (const placement of placements) if (decision.withdraw.some((gone) => isSame(gone, placement))) await this.#withdraw(tx, placement);
    const announced: PlacementState[] = [];
    for (const { workerId, versionId } of announce) {
      const version = versions.get(versionId);
      if (version !== undefined) announced.push(await this.#announce(tx, workerId, version, files.get(versionId) ?? [], artifactsUrl));
    }
    return announced;
  }

  async #announce(
    tx: RegistryTransaction,
    workerId: string,
    version: PlaceableVersion,
    files: readonly PackageFile[],
    artifactsUrl: string,
  ): Promise<PlacementState> {
    const { versionId, modelId, model, task, tenantId, visibility, runs } = version;
    const state: PlacementState = {
      workerId,
      versionId,
      modelId,
      model,
      version: version.version,
      ownerTenantId: tenantId,
      visibility,
      task,
      files: [...files],
      ...(runs.kind === 'onnxruntime' ? {} : { backend: runs }),
      artifactsUrl,
    };
    await savePlacement(tx, { workerId, versionId, tenantId, artifactsUrl }, new Date(this.#clock.now()));
    await this.#outbox.publish(tx, placementChanged, state, { tenant: tenantId });
    this.#logger.info({ workerId, versionId, model }, 'version placed');
    return state;
  }

  async #withdraw(tx: RegistryTransaction, placement: AnnouncedPlacement): Promise<void> {
    await deletePlacement(tx, placement);
    await this.#outbox.remove(tx, placementChanged, placementKey(placement), { tenant: placement.tenantId });
    this.#announced.delete(placementKey(placement));
    this.#logger.info({ workerId: placement.workerId, versionId: placement.versionId }, 'placement withdrawn');
  }

  /** Once for each change: it may last for long. */
  #tell(problems: ReadonlyMap<string, string>): void {
    for (const [versionId, problem] of problems)
      if (this.#problems.get(versionId) !== problem) this.#logger.warn({ versionId, problem }, 'no live worker can take this version');
    this.#problems = problems;
  }

  #artifactsUrl(): string {
    const { publicUrl } = this.#settings;
    const { address, port } = this.#server.address() as AddressInfo;
    const base = publicUrl ?? `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
    return `${base.replace(/\/+$/, '')}/artifacts/sha256`;
  }
}

function isSame(a: Placement, b: Placement): boolean {
  return a.workerId === b.workerId && a.versionId === b.versionId;
}

/** The key of a placement on its topic; needs no more of it than its name. */
function placementKey({ workerId, versionId }: Placement): string {
  return placementChanged.key({
    workerId,
    versionId,
    modelId: '',
    model: '',
    version: '',
    ownerTenantId: '',
    task: 'tensors',
    files: [],
    artifactsUrl: '',
  });
}

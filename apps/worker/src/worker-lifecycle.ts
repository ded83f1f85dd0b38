import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { placementChanged, type PlacementState } from '@weir/contracts';
import { projectionOf, type EventBus, type Projection } from '@weir/platform/bus';
import { EVENT_BUS, LOGGER, Readiness, SETTINGS } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import type { AddressInfo, Server } from 'node:net';
import { Announcer } from './announce/announcer.ts';
import { PackageStore } from './packages/package-store.ts';
import { PlacementReconciler } from './placements/placement-reconciler.ts';
import { StartupLoads } from './placements/startup-loads.ts';
import { RemoteVersions } from './remote/remote-versions.ts';
import { SecretFolder } from './remote/secret-folder.ts';
import { Activator } from './serving-processes/activator.ts';
import { ServingFleet } from './serving-processes/serving-fleet.ts';
import type { WorkerSettings } from './settings.ts';
import { WORKER_ID } from './worker-id.ts';

/** What is left of the shutdown's time when the serving processes have used theirs. */
const SHUTDOWN_MARGIN_MS = 2_000;

type Placements = Projection<{ placements: typeof placementChanged }>;

/** Starts the parts of a worker in order, and stops them in the other. */
@Injectable()
export class WorkerLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #parts: { bus: EventBus; logger: Logger; settings: WorkerSettings; workerId: string };
  readonly #server: Server;
  readonly #readiness: Readiness;
  readonly #packages: PackageStore;
  readonly #reconciler: PlacementReconciler;
  readonly #fleet: ServingFleet;
  readonly #activator: Activator;
  readonly #remote: RemoteVersions;
  readonly #secrets: SecretFolder;
  readonly #announcer: Announcer;
  readonly #startup: StartupLoads;
  #placements: Placements | null = null;

  constructor(
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
    @Inject(EVENT_BUS) bus: EventBus,
    @Inject(LOGGER) logger: Logger,
    @Inject(SETTINGS) settings: WorkerSettings,
    @Inject(WORKER_ID) workerId: string,
    @Inject(Readiness) readiness: Readiness,
    @Inject(PackageStore) packages: PackageStore,
    @Inject(PlacementReconciler) reconciler: PlacementReconciler,
    @Inject(ServingFleet) fleet: ServingFleet,
    @Inject(Activator) activator: Activator,
    @Inject(RemoteVersions) remote: RemoteVersions,
    @Inject(SecretFolder) secrets: SecretFolder,
    @Inject(Announcer) announcer: Announcer,
  ) {
    this.#parts = { bus, logger, settings, workerId };
    this.#server = host.httpAdapter.getHttpServer();
    this.#readiness = readiness;
    this.#packages = packages;
    this.#reconciler = reconciler;
    this.#fleet = fleet;
    this.#activator = activator;
    this.#remote = remote;
    this.#secrets = secrets;
    this.#announcer = announcer;
    this.#startup = new StartupLoads({ reconciler });
  }

  async onApplicationBootstrap(): Promise<void> {
    const { bus, logger } = this.#parts;
    await this.#secrets.open();
    await this.#packages.open();
    this.#fleet.setActivatorUrl(await this.#activator.listen());
    this.#reconciler.onChange(() => this.#announcer.announce());
    this.#fleet.onChange(() => this.#announcer.announce());
    this.#remote.onChange(() => this.#announcer.announce());
    this.#readiness.add('placements', () => this.#placements?.isCaughtUp() ?? false);
    this.#readiness.add('versions', () => this.#startup.check());
    // Nothing is unloaded or loaded from half a list.
    const placements = await projectionOf({ bus, logger, events: { placements: placementChanged }, onChange: () => this.#follow() });
    this.#placements = placements;
    void placements.caughtUp.then(() => this.#follow());
    if (this.#server.listening) this.#announcer.start(this.#url());
    else this.#server.once('listening', () => this.#announcer.start(this.#url()));
  }

  /** Tells everyone first, then serves what is still coming in until the server has closed. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.#announcer.drain();
    await this.#placements?.close();
    await this.#reconciler.close();
  }

  async onApplicationShutdown(): Promise<void> {
    const drainMs = this.#parts.settings.shutdownTimeoutMs - SHUTDOWN_MARGIN_MS;
    await Promise.all([this.#fleet.close(drainMs), this.#activator.close(), this.#remote.close(drainMs)]);
    await this.#announcer.stop();
  }

  #follow(): void {
    if (this.#placements?.isCaughtUp() !== true) return;
    const mine = new Map<string, PlacementState>();
    for (const placement of this.#placements.maps.placements.values())
      if (placement.workerId === this.#parts.workerId) mine.set(placement.versionId, placement);
    this.#reconciler.want(mine);
    this.#startup.begin([...mine.values()]);
  }

  #url(): string {
    const { settings } = this.#parts;
    if (settings.advertisedUrl !== undefined) return settings.advertisedUrl;
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
  }
}

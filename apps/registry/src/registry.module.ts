import { Inject, Injectable, Module, type OnModuleInit } from '@nestjs/common';
import type { Clock } from '@weir/kernel';
import type { EventBus } from '@weir/platform/bus';
import { DatabaseModule } from '@weir/platform/database';
import { SubgraphModule } from '@weir/platform/graphql';
import { CLOCK, EVENT_BUS, LOGGER, SETTINGS } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import { AliasesResolver } from './aliases/aliases.resolver.ts';
import { AliasesService } from './aliases/aliases.service.ts';
import { ArtifactStore } from './artifacts/artifact-store.ts';
import { ArtifactsController } from './artifacts/artifacts.controller.ts';
import { ArtifactsService } from './artifacts/artifacts.service.ts';
import { ModelsResolver } from './models/models.resolver.ts';
import { ModelsService } from './models/models.service.ts';
import { LiveWorkers } from './placements/live-workers.ts';
import { ModelPlacementResolver, VersionPlacementResolver } from './placements/placement-problems.resolver.ts';
import { PlacementTrigger } from './placements/placement-trigger.ts';
import { PlacementsService } from './placements/placements.service.ts';
import { QuotasResolver } from './quotas/quotas.resolver.ts';
import { QuotasService } from './quotas/quotas.service.ts';
import { createClient } from './registry-database.ts';
import type { RegistrySettings } from './settings.ts';
import { TenantSlugs } from './tenants/tenant-slugs.ts';
import { NetworkReader } from './versions/network-reader.ts';
import { ModelNetworksResolver, VersionNetworksResolver } from './versions/networks.resolver.ts';
import { RemoteVersionsResolver } from './versions/remote-versions.resolver.ts';
import { VersionsResolver } from './versions/versions.resolver.ts';
import { VersionsService } from './versions/versions.service.ts';

/** The resolvers of the subgraph. */
export const REGISTRY_RESOLVERS = [
  ModelsResolver,
  VersionsResolver,
  RemoteVersionsResolver,
  VersionNetworksResolver,
  ModelNetworksResolver,
  AliasesResolver,
  ModelPlacementResolver,
  VersionPlacementResolver,
  QuotasResolver,
];

/** The store is ready before the port is open. */
@Injectable()
class ArtifactStoreLifecycle implements OnModuleInit {
  readonly #store: ArtifactStore;

  constructor(@Inject(ArtifactStore) store: ArtifactStore) {
    this.#store = store;
  }

  async onModuleInit(): Promise<void> {
    await this.#store.open();
  }
}

@Module({
  imports: [DatabaseModule.forService({ service: 'registry', createClient }), SubgraphModule.forService({ service: 'registry' })],
  controllers: [ArtifactsController],
  providers: [
    {
      provide: ArtifactStore,
      inject: [SETTINGS],
      useFactory: (settings: RegistrySettings) =>
        new ArtifactStore({ directory: settings.artifactsDirectory, maxBytes: settings.maxArtifactBytes }),
    },
    ArtifactStoreLifecycle,
    ArtifactsService,
    TenantSlugs,
    ModelsService,
    NetworkReader,
    QuotasService,
    VersionsService,
    AliasesService,
    PlacementTrigger,
    {
      provide: LiveWorkers,
      inject: [EVENT_BUS, LOGGER, CLOCK],
      useFactory: (bus: EventBus, logger: Logger, clock: Clock) => new LiveWorkers(bus, logger, clock),
    },
    PlacementsService,
    ...REGISTRY_RESOLVERS,
  ],
})
export class RegistryModule {}

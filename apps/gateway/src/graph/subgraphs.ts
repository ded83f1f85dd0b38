import { readFileSync } from 'node:fs';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { InternalTokenSigner } from '@weir/access';
import { subgraphFile } from '@weir/platform/graphql';
import { LOGGER, SETTINGS, TOKEN_SIGNER } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import type { GraphQLSchema } from 'graphql';
import type { GatewaySettings } from '../settings.ts';
import { composeGraph } from './composition.ts';
import { SubgraphClient } from './subgraph-client.ts';

/** Services with a subgraph, and the setting with their address. */
const ADDRESS_OF = { auth: 'authUrl', registry: 'registryUrl', metering: 'meteringUrl', billing: 'billingUrl' } as const;
export type SubgraphService = keyof typeof ADDRESS_OF;
export const SUBGRAPH_SERVICES = Object.keys(ADDRESS_OF) as readonly SubgraphService[];

/** What services answer to the platform's own processes and to nobody else. */
const INTERNAL_FIELDS: Partial<Record<SubgraphService, readonly string[]>> = { auth: ['bootstrapOperator'] };

/** The services' parts of the graph. */
@Injectable()
export class Subgraphs implements OnApplicationShutdown {
  readonly #clients = new Map<SubgraphService, SubgraphClient>();

  constructor(
    @Inject(SETTINGS) settings: Pick<GatewaySettings, (typeof ADDRESS_OF)[SubgraphService]>,
    @Inject(TOKEN_SIGNER) signer: InternalTokenSigner,
    @Inject(LOGGER) logger: Logger,
  ) {
    for (const service of SUBGRAPH_SERVICES)
      this.#clients.set(service, new SubgraphClient({ service, url: settings[ADDRESS_OF[service]], signer, logger }));
  }

  /** The whole graph: the committed SDL of the services, and the gateway's own schema. */
  compose(local: GraphQLSchema): GraphQLSchema {
    return composeGraph(
      [...this.#clients].map(([service, client]) => ({
        service,
        sdl: readFileSync(subgraphFile(service), 'utf8'),
        executor: client.execute.bind(client),
        internalFields: INTERNAL_FIELDS[service] ?? [],
      })),
      local,
    );
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }
}

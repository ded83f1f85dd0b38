import type { IncomingMessage } from 'node:http';
import { Module } from '@nestjs/common';
import { GraphQLModule } from '@nestjs/graphql';
import { GraphDriver, SCHEMA_OPTIONS, type GraphDriverOptions } from '@weir/platform/graphql';
import { IDS, LOGGER, SETTINGS } from '@weir/platform/service';
import type { Ids } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import { Authenticator } from '../edge/authenticator.ts';
import type { Caller, EdgeGraphCaller } from '../edge/caller.ts';
import { ClientAddresses } from '../edge/client-addresses.ts';
import { EdgeGraphContext } from '../edge/graph-context.ts';
import { requestIdFor } from '../edge/request-ids.ts';
import type { GatewaySettings } from '../settings.ts';
import { graphPage } from '../welcome/graph-page.ts';
import { OperationLimits } from './operation-limits.ts';
import { PlatformResolver } from './platform.resolver.ts';
import { Subgraphs } from './subgraphs.ts';

@Module({ providers: [Subgraphs, OperationLimits], exports: [Subgraphs, OperationLimits] })
class SubgraphsModule {}

/**
 * `/graphql` of the platform: the services' subgraphs and the resolvers of this process, as one schema, on HTTP and
 * sockets. Resolvers of any module of the gateway take part by being provided.
 */
@Module({
  imports: [
    SubgraphsModule,
    GraphQLModule.forRootAsync<GraphDriverOptions<EdgeGraphCaller>>({
      driver: GraphDriver,
      imports: [SubgraphsModule],
      inject: [Subgraphs, OperationLimits, Authenticator, ClientAddresses, SETTINGS, IDS, LOGGER],
      useFactory: (
        subgraphs: Subgraphs,
        operationLimits: OperationLimits,
        authenticator: Authenticator,
        addresses: ClientAddresses,
        settings: Pick<GatewaySettings, 'bodyLimitBytes' | 'publicUrl' | 'socketsPerTenant' | 'socketsPerAddress'>,
        ids: Ids,
        logger: Logger,
      ) => ({
        logger,
        path: '/graphql',
        autoSchemaFile: true,
        buildSchemaOptions: SCHEMA_OPTIONS,
        transformSchema: (local) => subgraphs.compose(local),
        limits: { maxBodyBytes: settings.bodyLimitBytes },
        socketLimits: { maxSocketsPerTenant: settings.socketsPerTenant, maxAnonymousSocketsPerAddress: settings.socketsPerAddress },
        admitOperation: (rootFields, context) => operationLimits.admit(rootFields, context),
        addressOf: (request) => addresses.networkOf(request),
        schemaFilePath: '/schema.graphql',
        page: graphPage(settings.publicUrl),
        authenticate: (request) => {
          const caller = authenticator.identify(request.raw);
          const requestId = requestIdFor(request.raw);
          return caller instanceof Promise ? caller.then((known) => toGraphCaller(known, requestId)) : toGraphCaller(caller, requestId);
        },
        authenticateSocket: async (credentials: { params: Readonly<Record<string, unknown>>; request: IncomingMessage }) =>
          // Each operation on a socket is a request of its own.
          toGraphCaller(await authenticator.identifySocket(credentials), ids.next()),
        createContext: (caller, origin) => new EdgeGraphContext(caller, origin),
      }),
    }),
  ],
  providers: [PlatformResolver],
})
export class GraphModule {}

function toGraphCaller(caller: Caller | null, requestId: string): EdgeGraphCaller {
  return { requestId, principal: caller?.principal, limits: caller?.limits ?? null };
}

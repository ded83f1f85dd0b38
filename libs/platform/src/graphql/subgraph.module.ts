import { Module, type DynamicModule } from '@nestjs/common';
import { GraphQLModule } from '@nestjs/graphql';
import type { FastifyRequest } from 'fastify';
import { requestContext } from '../http/index.ts';
import { LOGGER } from '../service/tokens.ts';
import type { Logger } from '../telemetry/index.ts';
import type { GraphCaller } from './graph-context.ts';
import { GraphDriver, type GraphDriverOptions } from './graph-driver.ts';
import type { GraphLimits } from './limits.ts';
import { SCHEMA_OPTIONS } from './subgraph-sdl.ts';

export interface SubgraphOptions {
  /** Name of the service. */
  readonly service: string;
  readonly limits?: Partial<GraphLimits>;
  /** Types that no field of this subgraph returns. */
  readonly orphanedTypes?: NonNullable<GqlTypes>;
}

type GqlTypes = NonNullable<NonNullable<GraphDriverOptions['buildSchemaOptions']>['orphanedTypes']>;

/** `/graphql` of a service: its resolvers, code first. The port's guard has checked the internal token before. */
@Module({})
export class SubgraphModule {
  static forService(options: SubgraphOptions): DynamicModule {
    return {
      module: SubgraphModule,
      imports: [
        GraphQLModule.forRootAsync<GraphDriverOptions>({
          driver: GraphDriver,
          inject: [LOGGER],
          useFactory: (logger: Logger) => ({
            logger,
            path: '/graphql',
            autoSchemaFile: true,
            buildSchemaOptions: { ...SCHEMA_OPTIONS, orphanedTypes: options.orphanedTypes },
            authenticate: (request: FastifyRequest): GraphCaller => requestContext(request),
            limits: options.limits,
          }),
        }),
      ],
    };
  }
}

import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { AbstractGraphQLDriver, type GqlModuleOptions } from '@nestjs/graphql';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import type { Logger } from '../telemetry/index.ts';
import { plainContext, type GraphCaller, type GraphContextFactory } from './graph-context.ts';
import { GraphRunner, type OperationAdmission } from './graph-runner.ts';
import { mountHttp } from './http-transport.ts';
import { DEFAULT_GRAPH_LIMITS, type GraphLimits } from './limits.ts';
import { mountSchemaFile } from './schema-file.ts';
import {
  DEFAULT_SOCKET_LIMITS,
  mountSockets,
  type SocketCredentials,
  type SocketLimits,
  type SocketTransport,
} from './socket-transport.ts';

/** Options of `GraphQLModule.forRoot` with this driver, beside Nest's own. */
export interface GraphDriverOptions<C extends GraphCaller = GraphCaller> extends GqlModuleOptions {
  readonly logger: Logger;
  /** Who asks over HTTP; an `AppError` that it throws is the answer, with its HTTP status. */
  authenticate(request: FastifyRequest): C | Promise<C>;
  /** Who speaks on a socket. Without it the port serves no sockets. */
  authenticateSocket?(credentials: SocketCredentials): C | Promise<C>;
  /** Makes the resolvers' context; a plain `GraphContext` when absent. */
  readonly createContext?: GraphContextFactory<C>;
  readonly limits?: Partial<GraphLimits>;
  readonly socketLimits?: Partial<SocketLimits>;
  /** Bounds the operations in progress; without it none is refused. */
  readonly admitOperation?: OperationAdmission<C>;
  /** Key of the limits of sockets per address; the peer's address when absent. */
  readonly addressOf?: (request: IncomingMessage) => string;
  /** Where the schema is served as a file; nowhere when absent. */
  readonly schemaFilePath?: string;
  /** Answers a browser that opens the address. */
  readonly page?: (request: FastifyRequest, reply: FastifyReply) => void;
}

/** Serves a Nest schema by `graphql-http`, `graphql-ws` and `graphql-jit`: the same at the gateway and in every service. */
@Injectable()
export class GraphDriver extends AbstractGraphQLDriver<GraphDriverOptions> {
  #sockets: SocketTransport | undefined;

  async start(options: GraphDriverOptions): Promise<void> {
    const schema: GraphQLSchema | undefined = options.schema;
    if (schema === undefined) throw new Error('the GraphQL driver was started without a schema');
    const limits = { ...DEFAULT_GRAPH_LIMITS, ...options.limits };
    const path = options.path ?? '/graphql';
    const createContext = options.createContext ?? plainContext;
    const runner = new GraphRunner(schema, limits, options.logger, options.admitOperation);
    const fastify = this.httpAdapterHost.httpAdapter.getInstance<FastifyInstance>();
    mountHttp(fastify, runner, {
      path,
      maxBodyBytes: limits.maxBodyBytes,
      authenticate: (request) => options.authenticate(request),
      createContext,
      page: options.page,
      logger: options.logger,
    });
    if (options.schemaFilePath !== undefined) mountSchemaFile(fastify, schema, options.schemaFilePath);
    if (options.authenticateSocket !== undefined) {
      const authenticateSocket = options.authenticateSocket.bind(options);
      const socketLimits = { ...DEFAULT_SOCKET_LIMITS, ...options.socketLimits };
      this.#sockets = mountSockets(fastify.server, runner, {
        path,
        maxMessageBytes: limits.maxBodyBytes,
        limits: socketLimits,
        authenticateSocket,
        createContext,
        addressOf: options.addressOf ?? ((request) => request.socket.remoteAddress ?? ''),
        logger: options.logger,
      });
    }
  }

  async stop(): Promise<void> {
    await this.#sockets?.close();
  }
}

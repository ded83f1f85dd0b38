import type { IncomingMessage } from 'node:http';
import type { Principal } from '@weir/access';
import type { FastifyReply } from 'fastify';

/** What the transport knows about a request before anything runs. */
export interface GraphCaller {
  readonly requestId: string;
  /** Who asks; undefined where the port lets anonymous requests through. */
  readonly principal: Principal | undefined;
  /** The service that called, on an internal port. */
  readonly caller?: string | undefined;
}

/** Where a request came in. */
export interface GraphOrigin {
  /** Node's request: of the call itself, or of the socket's handshake. */
  readonly request: IncomingMessage;
  /** The answer that is being made; undefined on a socket. */
  readonly reply: FastifyReply | undefined;
  /** When the request arrived, on the monotonic clock of `performance.now()`. */
  readonly arrivedAtMs: number;
  /** Calls back once, when the client has gone away before its answer. */
  onGone(listener: () => void): void;
}

/** The GraphQL context: one for each request, handed to every resolver (`@Context() context: GraphContext`). */
export class GraphContext<C extends GraphCaller = GraphCaller> {
  /** Everything that the port's guard learned; the gateway keeps more in it than a service. */
  readonly caller: C;
  readonly requestId: string;
  readonly principal: Principal | undefined;
  readonly request: IncomingMessage;
  /** When the request arrived, on the monotonic clock of `performance.now()`. */
  readonly arrivedAtMs: number;
  protected readonly origin: GraphOrigin;
  #abort: AbortController | undefined;

  constructor(caller: C, origin: GraphOrigin) {
    this.caller = caller;
    this.requestId = caller.requestId;
    this.principal = caller.principal;
    this.request = origin.request;
    this.arrivedAtMs = origin.arrivedAtMs;
    this.origin = origin;
  }

  /** Aborted when the client goes away. Made when it is first asked for: most resolvers never wait. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      this.origin.onGone(() => abort.abort());
    }
    return this.#abort.signal;
  }
}

/** Makes the context of a request; a port with more to tell its resolvers brings its own. */
export type GraphContextFactory<C extends GraphCaller> = (caller: C, origin: GraphOrigin) => GraphContext<C>;

export function plainContext<C extends GraphCaller>(caller: C, origin: GraphOrigin): GraphContext<C> {
  return new GraphContext(caller, origin);
}

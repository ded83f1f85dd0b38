import type { IncomingMessage } from 'node:http';
import type { Principal } from '@weir/access';

/** What the transport knows about a request before anything runs. */
export interface GraphCaller {
  readonly requestId: string;
  /** Who asks; undefined where the port lets anonymous requests through. */
  readonly principal: Principal | undefined;
  /** The service that called, on an internal port. */
  readonly caller?: string | undefined;
}

/** Where the request came in: tells when the client is gone. */
export interface Departure {
  /** Calls back once, when the client has gone away before its answer. */
  onGone(listener: () => void): void;
}

/** The GraphQL context: one for each request, handed to every resolver (`@Context() context: GraphContext`). */
export class GraphContext<C extends GraphCaller = GraphCaller> {
  /** Everything that the port's guard learned; the gateway keeps more in it than a service. */
  readonly caller: C;
  readonly requestId: string;
  readonly principal: Principal | undefined;
  /** Node's request: of the call itself, or of the socket's handshake. */
  readonly request: IncomingMessage;
  /** When the request arrived, on the monotonic clock of `performance.now()`. */
  readonly arrivedAtMs: number;
  readonly #departure: Departure;
  #abort: AbortController | undefined;

  constructor(caller: C, request: IncomingMessage, departure: Departure) {
    this.caller = caller;
    this.requestId = caller.requestId;
    this.principal = caller.principal;
    this.request = request;
    this.arrivedAtMs = performance.now();
    this.#departure = departure;
  }

  /** Aborted when the client goes away. Made when it is first asked for: most resolvers never wait. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      this.#departure.onGone(() => abort.abort());
    }
    return this.#abort.signal;
  }
}

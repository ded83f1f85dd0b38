import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError, toAppError } from '@weir/kernel';
import type { ExecutionArgs } from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import { WebSocketServer, type WebSocket } from 'ws';
import { assertJsonDepth, reportError } from '../http/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { GraphCaller, GraphContextFactory, GraphOrigin } from './graph-context.ts';
import { formatted, graphErrorOf } from './graph-errors.ts';
import type { GraphRunner, ReadyOperation } from './graph-runner.ts';
import { SocketPlaces } from './socket-places.ts';

/** Bounds of the sockets of one process. */
export interface SocketLimits {
  /** Open sockets; more are refused with 503 at the handshake. */
  readonly maxSockets: number;
  /** Open sockets of one tenant; more are closed (4429) once their caller is known. */
  readonly maxSocketsPerTenant: number;
  /** Open sockets without a caller of one address; the oldest gives way. */
  readonly maxAnonymousSocketsPerAddress: number;
  /** Open sockets without a caller, of all addresses; the oldest gives way. */
  readonly maxAnonymousSockets: number;
  /** How long a socket may stay open without a caller. */
  readonly anonymousTimeoutMs: number;
  /** Bytes that a socket may send before its caller is known. */
  readonly maxAnonymousBytes: number;
  /** Operations under way on one socket; more are answered with an error. */
  readonly maxOperationsPerSocket: number;
  /** How long a new socket may stay silent before `connection_init`. */
  readonly initTimeoutMs: number;
  /** Time between pings; a socket that does not answer one by the next is closed. */
  readonly pingIntervalMs: number;
  /** How often the credential of each open socket is checked again, so that a revoked one ends its subscriptions. */
  readonly recheckIntervalMs: number;
  /** Answers that wait in one socket's buffer before it counts as too slow and is closed, in bytes. */
  readonly maxBufferedBytes: number;
}

export const DEFAULT_SOCKET_LIMITS: SocketLimits = {
  maxSockets: 2_000,
  maxSocketsPerTenant: 200,
  maxAnonymousSocketsPerAddress: 20,
  maxAnonymousSockets: 200,
  anonymousTimeoutMs: 10_000,
  maxAnonymousBytes: 16_384,
  maxOperationsPerSocket: 50,
  initTimeoutMs: 5_000,
  pingIntervalMs: 15_000,
  recheckIntervalMs: 2_000,
  maxBufferedBytes: 16_777_216,
};

/** What a client sent in `connection_init`, and the handshake that it came through. */
export interface SocketCredentials {
  /** `{ "authorization": "Bearer …" }` or `{ "apiKey": "…" }`. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly request: IncomingMessage;
}

export interface SocketTransportOptions<C extends GraphCaller> {
  readonly path: string;
  /** Largest message in bytes. */
  readonly maxMessageBytes: number;
  readonly limits: SocketLimits;
  /** Who speaks on the socket; asked at `connection_init`, for each operation, and every `recheckIntervalMs`. Throws an `AppError` to refuse. */
  authenticateSocket(credentials: SocketCredentials): C | Promise<C>;
  readonly createContext: GraphContextFactory<C>;
  /** Key of limits per address. */
  addressOf(request: IncomingMessage): string;
  readonly logger: Logger;
}

interface Extra {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  /** Ends what is only bounded while the socket has no caller. */
  identified(): void;
  /** What to call when the socket goes away, by the id of the operation that waits for it. */
  readonly gone: Map<string, Set<() => void>>;
}

export interface SocketTransport {
  /** Closes every socket (1001) and stops taking new ones. */
  close(): Promise<void>;
}

/** GraphQL over WebSocket, sub-protocol `graphql-transport-ws`, by `graphql-ws`. */
export function mountSockets<C extends GraphCaller>(
  server: Server,
  runner: GraphRunner,
  options: SocketTransportOptions<C>,
): SocketTransport {
  const { limits, logger } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxMessageBytes,
    handleProtocols,
    perMessageDeflate: false,
    clientTracking: true,
  });
  const places = new SocketPlaces<WebSocket>({
    maxPerTenant: limits.maxSocketsPerTenant,
    maxAnonymousPerAddress: limits.maxAnonymousSocketsPerAddress,
    maxAnonymous: limits.maxAnonymousSockets,
  });
  const credentialsOf = new WeakMap<WebSocket, SocketCredentials>();

  const graph = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: limits.initTimeoutMs,
    onConnect: async ({ connectionParams, extra }) => {
      const credentials = { params: connectionParams ?? {}, request: extra.request };
      const caller = await admitted(extra.socket, credentials);
      if (caller === null) return;
      if (caller.principal !== undefined) {
        if (!places.identified(extra.socket, caller.principal.tenantId)) {
          extra.socket.close(CloseCode.TooManyInitialisationRequests, 'limit.in_flight');
          return;
        }
        extra.identified();
      }
      credentialsOf.set(extra.socket, credentials);
    },
    onSubscribe: async ({ subscriptions, extra }, id, payload) => {
      const credentials = credentialsOf.get(extra.socket);
      if (credentials === undefined) return [graphErrorOf(new AppError('auth.required'), '')];
      // Counted before anything is awaited: messages that arrive together must not all see each other.
      const isOverLimit = Object.keys(subscriptions).length > limits.maxOperationsPerSocket;
      let caller: C;
      try {
        caller = await options.authenticateSocket(credentials);
      } catch (error) {
        refuse(extra.socket, toAppError(error));
        return [graphErrorOf(toAppError(error), '')];
      }
      const context = options.createContext(caller, originOf(extra, id));
      if (isOverLimit) {
        return [
          graphErrorOf(
            new AppError('limit.in_flight', { message: `A socket may have ${limits.maxOperationsPerSocket} operations under way.` }),
            context.requestId,
          ),
        ];
      }
      if (typeof payload.query !== 'string')
        return [graphErrorOf(new AppError('request.invalid', { message: 'Missing query.' }), context.requestId)];
      const ready = runner.prepare({ query: payload.query, operationName: payload.operationName, variables: payload.variables }, context);
      return 'operation' in ready ? ready : [...ready];
    },
    execute: (args: ExecutionArgs) => runner.execute(args as ReadyOperation),
    subscribe: (args: ExecutionArgs) => runner.subscribe(args as ReadyOperation),
    onComplete: ({ extra }, id) => {
      extra.gone.delete(id);
    },
    onError: (_context, _id, _payload, errors) =>
      formatted(
        errors.map((error) => (typeof error.extensions.code === 'string' ? error : graphErrorOf(new AppError('internal.error'), ''))),
      ),
  });

  async function admitted(socket: WebSocket, credentials: SocketCredentials): Promise<C | null> {
    try {
      return await options.authenticateSocket(credentials);
    } catch (error) {
      refuse(socket, toAppError(error));
      return null;
    }
  }

  function refuse(socket: WebSocket, error: AppError): void {
    reportError(error, '', logger);
    const code =
      error.kind === 'unauthenticated'
        ? CloseCode.Unauthorized
        : error.kind === 'forbidden'
          ? CloseCode.Forbidden
          : CloseCode.InternalServerError;
    socket.close(code, error.code);
  }

  function accept(socket: WebSocket, request: IncomingMessage, stream: Duplex): void {
    // Not closed politely: who opens many need not answer, and the place is needed now.
    for (const evicted of places.opened(socket, options.addressOf(request))) evicted.terminate();
    const extra: Extra = { socket, request, gone: new Map(), identified: boundUntilIdentified(socket, stream, limits) };
    let isAlive = true;
    const ping = setInterval(() => {
      if (!isAlive || socket.bufferedAmount > limits.maxBufferedBytes) {
        socket.terminate();
        return;
      }
      isAlive = false;
      socket.ping();
    }, limits.pingIntervalMs);
    socket.on('pong', () => (isAlive = true));
    // A frame that is too large or not WebSocket at all: ws closes the socket with the right code.
    socket.on('error', (error) => logger.debug({ err: error }, 'a socket broke its protocol'));
    const closed = graph.opened(
      {
        protocol: socket.protocol,
        send: (text) => send(socket, text),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (listener) =>
          socket.on('message', (data) => {
            // ws hands over Buffers unless it is told otherwise.
            const message = Buffer.isBuffer(data) ? data : Buffer.alloc(0);
            try {
              assertJsonDepth(message);
            } catch (error) {
              socket.close(CloseCode.BadRequest, toAppError(error).code);
              return;
            }
            listener(message.toString()).catch((error: unknown) => {
              logger.error({ err: error }, 'a message on a socket failed');
              socket.close(CloseCode.InternalServerError, 'internal.error');
            });
          }),
      },
      extra,
    );
    socket.once('close', (code, reason) => {
      clearInterval(ping);
      places.closed(socket);
      extra.identified();
      for (const listeners of extra.gone.values()) for (const listener of listeners) listener();
      extra.gone.clear();
      closed(code, String(reason)).catch((error: unknown) => logger.error({ err: error }, 'a socket could not be cleaned up'));
    });
  }

  const onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    stream.on('error', () => stream.destroy());
    if (request.url?.split('?')[0] !== options.path) {
      answerAndEnd(stream, '404 Not Found');
      return;
    }
    if (sockets.clients.size >= limits.maxSockets) {
      answerAndEnd(stream, '503 Service Unavailable');
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => accept(socket, request, stream));
  };
  server.on('upgrade', onUpgrade);

  const recheck = setInterval(() => {
    for (const socket of sockets.clients) {
      const credentials = credentialsOf.get(socket);
      if (credentials !== undefined) void admitted(socket, credentials);
    }
  }, limits.recheckIntervalMs);
  recheck.unref();

  return {
    close: async () => {
      clearInterval(recheck);
      server.off('upgrade', onUpgrade);
      for (const socket of sockets.clients) socket.close(1001, 'service.stopping');
      const force = setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), 1_000);
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
      clearTimeout(force);
    },
  };
}

/**
 * Closes the socket when it has no caller in time, or sends much before it has one.
 *
 * @returns ends these bounds
 */
function boundUntilIdentified(socket: WebSocket, stream: Duplex, limits: SocketLimits): () => void {
  const timer = setTimeout(() => socket.close(CloseCode.Unauthorized, 'auth.required'), limits.anonymousTimeoutMs);
  let received = 0;
  // On the stream: ws would hold a message until it is whole.
  const onData = (chunk: Buffer): void => {
    received += chunk.length;
    if (received > limits.maxAnonymousBytes) socket.terminate();
  };
  stream.on('data', onData);
  return () => {
    clearTimeout(timer);
    stream.off('data', onData);
  };
}

function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) resolve();
    // A socket that closes meanwhile is cleaned up by its own event.
    else socket.send(text, () => resolve());
  });
}

function answerAndEnd(stream: Duplex, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

function originOf(extra: Extra, operationId: string): GraphOrigin {
  return {
    request: extra.request,
    reply: undefined,
    arrivedAtMs: performance.now(),
    onGone: (listener) => {
      if (extra.socket.readyState !== extra.socket.OPEN) {
        listener();
        return;
      }
      const listeners = extra.gone.get(operationId) ?? new Set();
      extra.gone.set(operationId, listeners.add(listener));
    },
  };
}

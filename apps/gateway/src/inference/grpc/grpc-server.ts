import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { SpanKind } from '@opentelemetry/api';
import { Server, ServerCredentials, type handleUnaryCall, type Metadata, type ServerUnaryCall } from '@grpc/grpc-js';
import { REQUEST_ID_HEADER } from '@weir/access';
import { ERROR_KINDS } from '@weir/kernel';
import { fromFrameworkError, reportError, requestIdOf } from '@weir/platform/http';
import { LOGGER, METRICS, SETTINGS } from '@weir/platform/service';
import { Histogram, inRequest, inSpan, LATENCY_BUCKETS_SECONDS, type Logger, type Registry } from '@weir/platform/telemetry';
import { Authenticator } from '../../edge/authenticator.ts';
import type { CallerPresence } from '../caller-presence.ts';
import type { GatewaySettings } from '../../settings.ts';
import { callersFirst } from './callers-first.ts';
import { GrpcMethods, type GrpcCall } from './grpc-methods.ts';
import { metadataOf, serviceErrorOf } from './grpc-status.ts';
import { inferenceServiceDefinition } from './service-definition.ts';

/** Calls of one connection at once; a client with more waits, or opens another connection. */
const MAX_STREAMS_OF_A_CONNECTION = 256;
/** A peer that is silent for this long is asked whether it is there, and hung up on when it does not answer. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** A connection without calls is closed after this. */
const MAX_IDLE_MS = 600_000;
const MAX_METADATA_BYTES = 16_384;
/** Bytes that an answer may have; workers give no more. */
const MAX_ANSWER_BYTES = 68 * 1_048_576;

/** The Open Inference Protocol v2 over gRPC, on a port of its own; as its HTTP sibling, with the caller's API key. */
@Injectable()
export class GrpcServer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #server: Server;
  readonly #calls: Histogram<'method' | 'status'>;
  #port = 0;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<GatewaySettings, 'host' | 'grpcPort' | 'bodyLimitBytes' | 'shutdownTimeoutMs'>,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(METRICS) metrics: Registry,
    @Inject(GrpcMethods) private readonly methods: GrpcMethods,
    @Inject(Authenticator) authenticator: Authenticator,
  ) {
    this.#server = new Server({
      'grpc.max_receive_message_length': settings.bodyLimitBytes,
      'grpc.max_send_message_length': MAX_ANSWER_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_OF_A_CONNECTION,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.max_connection_idle_ms': MAX_IDLE_MS,
      'grpc.max_metadata_size': MAX_METADATA_BYTES,
      interceptors: [
        callersFirst(authenticator, (method, thrown, metadata) => {
          const refusal = this.#refusalOf(thrown, requestIdOf(headerOf(metadata, REQUEST_ID_HEADER)));
          this.#calls.observe({ method, status: refusal.status }, 0);
          return refusal;
        }),
      ],
    });
    this.#calls = new Histogram({
      name: 'weir_grpc_request_seconds',
      help: 'Time to answer a gRPC call, by method and status',
      labelNames: ['method', 'status'],
      buckets: LATENCY_BUCKETS_SECONDS,
      registers: [metrics],
    });
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#port;
  }

  async onApplicationBootstrap(): Promise<void> {
    const methods = Object.entries(this.methods.all()).map(([name, method]) => [name, this.#handler(name, method)]);
    this.#server.addService(inferenceServiceDefinition(), Object.fromEntries(methods));
    const { host, grpcPort } = this.settings;
    const address = `${host.includes(':') ? `[${host}]` : host}:${grpcPort}`;
    this.#port = await new Promise((resolve, reject) =>
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      }),
    );
    this.logger.info({ host, port: this.#port }, 'gRPC listening');
  }

  /** Calls under way are finished, as far as the time allows. */
  async beforeApplicationShutdown(): Promise<void> {
    const hurry = setTimeout(() => this.#server.forceShutdown(), this.settings.shutdownTimeoutMs);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    clearTimeout(hurry);
  }

  #handler(name: string, method: ReturnType<GrpcMethods['all']>[string]): handleUnaryCall<never, object> {
    return (call, answer) => {
      const known = callOf(call);
      const finish = (status: string): void =>
        this.#calls.observe({ method: name, status }, (performance.now() - known.arrivedAtMs) / 1000);
      const work = (): Promise<void> =>
        inSpan(`gRPC ${name}`, { kind: SpanKind.SERVER, traceparent: known.header('traceparent') }, () => method(call.request, known)).then(
          ({ message, trailers }) => {
            answer(null, message, metadataOf({ ...trailers, [REQUEST_ID_HEADER]: known.requestId }));
            finish('OK');
          },
          (thrown: unknown) => {
            const refusal = this.#refusalOf(thrown, known.requestId);
            answer(refusal);
            finish(refusal.status);
          },
        );
      void inRequest(known.requestId, work);
    };
  }

  /** Reports an error. @returns it as gRPC answers it, and the name of its status */
  #refusalOf(thrown: unknown, requestId: string): ReturnType<typeof serviceErrorOf> & { readonly status: string } {
    const error = fromFrameworkError(thrown);
    reportError(error, requestId, this.logger);
    const refusal = serviceErrorOf(error);
    refusal.metadata.set(REQUEST_ID_HEADER, requestId);
    return { ...refusal, status: ERROR_KINDS[error.kind].grpcStatus };
  }
}

function headerOf(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : undefined;
}

function callOf(call: ServerUnaryCall<never, object>): GrpcCall {
  const header = (name: string): string | undefined => headerOf(call.metadata, name);
  const deadline = call.getDeadline();
  return {
    header,
    requestId: requestIdOf(header(REQUEST_ID_HEADER)),
    arrivedAtMs: performance.now(),
    deadlineMs: (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now(),
    presence: presenceOf(call),
  };
}

/** A caller of gRPC is gone when it cancels, its deadline passes or its connection breaks. */
function presenceOf(call: ServerUnaryCall<never, object>): CallerPresence {
  return {
    get isGone() {
      return call.cancelled;
    },
    onGone(listener) {
      call.once('cancelled', listener);
      return () => call.off('cancelled', listener);
    },
  };
}

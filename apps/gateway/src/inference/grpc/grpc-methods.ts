import { Inject, Injectable } from '@nestjs/common';
import {
  encodeRequest,
  priorityOf,
  PRIORITY_HEADER,
  readResponse,
  requestOfGrpc,
  responseToGrpc,
  sequenceId,
  timeoutMsOf,
  TIMEOUT_HEADER,
  type ModelInferRequestMessage,
  type ModelInferResponseMessage,
} from '@weir/open-inference';
import { Readiness } from '@weir/platform/service';
import { Authenticator } from '../../edge/authenticator.ts';
import type { Caller } from '../../edge/caller.ts';
import { rateLimitHeaders } from '../admission.ts';
import type { CallerPresence } from '../caller-presence.ts';
import { IDEMPOTENCY_KEY_HEADER, idempotencyKeyOf, REPEATED_HEADER } from '../idempotency/idempotency-key.ts';
import { InferenceService } from '../inference.service.ts';
import { ModelRepository } from '../model-repository.ts';
import { ModelSignatures } from '../model-signatures.ts';
import { ModelStatistics } from '../model-statistics.ts';
import { assertAsPublished } from '../repository-requests.ts';
import { SERVER_METADATA } from '../server-metadata.ts';

/** What is known of a call beside its message. */
export interface GrpcCall {
  /** Value of a metadata key, or undefined. */
  header(name: string): string | undefined;
  readonly requestId: string;
  /** On the monotonic clock, in milliseconds. */
  readonly arrivedAtMs: number;
  /** How long the caller waits by its deadline; Infinity without one. */
  readonly deadlineMs: number;
  readonly presence: CallerPresence;
}

/** An answer, and what goes into its trailers. */
export interface GrpcAnswer {
  readonly message: object;
  readonly trailers?: Readonly<Record<string, string>>;
}

type Method = (message: never, call: GrpcCall) => Promise<GrpcAnswer>;

interface ModelMessage {
  readonly name: string;
  /** Empty: the version in production. */
  readonly version: string;
}

interface ControlMessage {
  readonly model_name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** The methods of `GRPCInferenceService`, each a translation into the use case that HTTP has too. */
@Injectable()
export class GrpcMethods {
  constructor(
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Authenticator) private readonly authenticator: Authenticator,
    @Inject(InferenceService) private readonly inference: InferenceService,
    @Inject(ModelSignatures) private readonly signatures: ModelSignatures,
    @Inject(ModelRepository) private readonly repository: ModelRepository,
    @Inject(ModelStatistics) private readonly statistics: ModelStatistics,
  ) {}

  /** By the method's name in the proto file. */
  all(): Readonly<Record<string, Method>> {
    return {
      ServerLive: async () => ({ message: { live: true } }),
      ServerReady: async () => ({ message: { ready: (await this.readiness.report()).isReady } }),
      ServerMetadata: async () => ({ message: SERVER_METADATA }),
      ModelReady: async ({ name, version }: ModelMessage, call) => {
        const { principal } = await this.#caller(call);
        return { message: { ready: this.signatures.readiness(principal, name, given(version)).ready } };
      },
      ModelMetadata: async ({ name, version }: ModelMessage, call) => {
        const { principal } = await this.#caller(call);
        return { message: await this.signatures.read(principal, name, given(version), call.requestId) };
      },
      ModelInfer: (message: ModelInferRequestMessage, call) => this.#infer(message, call),
      ModelStatistics: async ({ name, version }: ModelMessage, call) => {
        const { principal } = await this.#caller(call);
        const statistics =
          name === ''
            ? await this.statistics.readAll(principal, call.requestId)
            : [await this.statistics.read(principal, name, given(version), call.requestId)];
        return { message: { model_stats: statistics } };
      },
      RepositoryIndex: async ({ ready }: { readonly ready: boolean }, call) => {
        const { principal } = await this.#caller(call);
        return { message: { models: this.repository.index(principal, ready) } };
      },
      RepositoryModelLoad: (message: ControlMessage, call) => this.#control('load', message, call),
      RepositoryModelUnload: (message: ControlMessage, call) => this.#control('unload', message, call),
    };
  }

  async #infer(message: ModelInferRequestMessage, call: GrpcCall): Promise<GrpcAnswer> {
    const { principal, limits } = await this.#caller(call);
    const timeoutMs = timeoutMsOf(call.header(TIMEOUT_HEADER));
    const priority = priorityOf(call.header(PRIORITY_HEADER));
    const request = requestOfGrpc(message);
    const answer = await this.inference.infer<ModelInferResponseMessage>({
      principal,
      limits,
      requestId: call.requestId,
      surface: 'open-inference',
      model: message.model_name,
      version: given(message.model_version),
      request: () => encodeRequest(request),
      read: ({ body, headers }) => responseToGrpc(readResponse(body, headers)),
      arrivedAtMs: call.arrivedAtMs,
      timeoutMs: Math.min(timeoutMs ?? Infinity, call.deadlineMs),
      priority,
      sequenceId: sequenceId(request.parameters?.['sequence_id']),
      idempotencyKey: idempotencyKeyOf(call.header(IDEMPOTENCY_KEY_HEADER)),
      caller: call.presence,
    });
    return {
      message: answer.output,
      trailers: {
        ...rateLimitHeaders(answer.rateLimit),
        'x-weir-receipt-id': answer.receiptId,
        'x-weir-cost': `${answer.cost.amount} ${answer.cost.currency}`,
        ...(answer.isRepeated ? { [REPEATED_HEADER]: 'true' } : {}),
      },
    };
  }

  async #control(what: 'load' | 'unload', message: ControlMessage, call: GrpcCall): Promise<GrpcAnswer> {
    const { principal } = await this.#caller(call);
    assertAsPublished(Object.keys(message.parameters));
    await this.repository.control(principal, what, message.model_name, call.requestId);
    return { message: {} };
  }

  #caller(call: GrpcCall): Caller | Promise<Caller> {
    return this.authenticator.requireBearer(call.header('authorization'));
  }
}

function given(version: string): string | undefined {
  return version === '' ? undefined : version;
}

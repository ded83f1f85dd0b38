import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER, type InternalTokenSigner, type Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import { FairSemaphore, type GraphContext } from '@weir/platform/graphql';
import { currentTraceparent, type Logger } from '@weir/platform/telemetry';
import type { ExecutionRequest, ExecutionResult } from '@graphql-tools/utils';
import { print } from 'graphql';
import { Pool, type Dispatcher } from 'undici';

export interface SubgraphClientOptions {
  /** Name of the service: audience of the token. */
  readonly service: string;
  /** Its base address. */
  readonly url: string;
  readonly signer: InternalTokenSigner;
  readonly logger: Logger;
  /** How long the service may take to answer; default 5 s. */
  readonly timeoutMs?: number;
  /** Largest answer in bytes; default 8 MiB. */
  readonly maxAnswerBytes?: number;
}

const TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 1_000;
const MAX_ANSWER_BYTES = 8_388_608;
const CONNECTIONS = 32;
/** Of these, how many one tenant's requests use at once: they keep a service busy, and leave room in its pool of database connections. */
const CONNECTIONS_PER_TENANT = 4;
/** Requests of one tenant that wait for a connection: an operation may ask for 30 root fields. */
const WAITING_PER_TENANT = 256;
/** When a service that is down is worth asking again. */
const RETRY_AFTER_MS = 1_000;

/** Queries one service's subgraph on behalf of the gateway's caller. Holds no state about the service: it recovers by itself. */
export class SubgraphClient {
  readonly #options: Required<SubgraphClientOptions>;
  readonly #pool: Pool;
  /** Shares the connections between tenants: one queue for all would let a tenant with many requests delay the others. */
  readonly #connections: FairSemaphore;

  constructor(options: SubgraphClientOptions) {
    this.#options = { timeoutMs: TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES, ...options };
    this.#pool = new Pool(new URL(options.url).origin, {
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: this.#options.timeoutMs,
      bodyTimeout: this.#options.timeoutMs,
    });
    this.#connections = new FairSemaphore({
      permits: CONNECTIONS,
      permitsPerKey: CONNECTIONS_PER_TENANT,
      waitingPerKey: WAITING_PER_TENANT,
      refusal: `The tenant has too many requests in progress at the ${options.service} service.`,
    });
  }

  /**
   * Runs a document there; errors of its fields come back as the service said them.
   *
   * @throws auth.required nobody asks
   * @throws limit.in_flight the tenant's own requests take its share of the connections for too long
   * @throws service.unavailable it does not answer in time, or answers something else than GraphQL
   * @throws request.cancelled the caller went away
   */
  async execute(request: ExecutionRequest): Promise<ExecutionResult> {
    const context = request.context as GraphContext;
    if (context.principal === undefined) throw new AppError('auth.required');
    const { timeoutMs } = this.#options;
    const startedAtMs = performance.now();
    const release = await this.#connections.acquire(context.principal.tenantId, {
      // A longer wait would leave too little time for the answer.
      timeoutMs: timeoutMs / 2,
      signal: () => context.signal,
    });
    try {
      return await this.#request(request, context, context.principal, timeoutMs - (performance.now() - startedAtMs));
    } finally {
      release();
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #request(request: ExecutionRequest, context: GraphContext, principal: Principal, timeoutMs: number): Promise<ExecutionResult> {
    const token = await this.#options.signer.sign(principal, this.#options.service);
    const deadline = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)));
    try {
      const response = await this.#pool.request({
        method: 'POST',
        path: `${new URL(this.#options.url).pathname.replace(/\/$/, '')}/graphql`,
        headers: headersOf(token, context.requestId),
        body: JSON.stringify({ query: print(request.document), operationName: request.operationName, variables: request.variables }),
        signal: AbortSignal.any([context.signal, deadline]),
      });
      return await this.#read(response);
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (context.signal.aborted) throw new AppError('request.cancelled', { cause: error });
      throw this.#unavailable(error, context.requestId);
    }
  }

  async #read(response: Dispatcher.ResponseData): Promise<ExecutionResult> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > this.#options.maxAnswerBytes) throw new Error(`the answer has more than ${this.#options.maxAnswerBytes} bytes`);
      chunks.push(chunk);
    }
    const answer: unknown = JSON.parse(Buffer.concat(chunks).toString());
    // A port that refuses our token answers in the REST shape: that is our fault, not the caller's.
    if (!isGraphAnswer(answer)) throw new Error(`status ${response.statusCode} instead of a GraphQL answer`);
    return answer;
  }

  #unavailable(cause: unknown, requestId: string): AppError {
    const { service, logger } = this.#options;
    const reason = cause instanceof Error ? cause.message : undefined;
    logger.debug({ subgraph: service, requestId, reason }, 'a subgraph did not answer');
    return new AppError('service.unavailable', { message: `The ${service} service does not answer.`, retryAfterMs: RETRY_AFTER_MS, cause });
  }
}

function headersOf(token: string, requestId: string): Record<string, string> {
  const traceparent = currentTraceparent();
  return {
    'content-type': 'application/json',
    accept: 'application/graphql-response+json, application/json',
    [INTERNAL_TOKEN_HEADER]: token,
    [REQUEST_ID_HEADER]: requestId,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

function isGraphAnswer(answer: unknown): answer is ExecutionResult {
  return typeof answer === 'object' && answer !== null && ('data' in answer || ('errors' in answer && Array.isArray(answer.errors)));
}

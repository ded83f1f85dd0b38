import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER, type InternalTokenSigner, type Principal } from '@weir/access';
import type { UsageQuantity } from '@weir/contracts';
import { AppError, isErrorCode } from '@weir/kernel';
import {
  CALL_ID_HEADER,
  cancelPath,
  ERROR_CODE_HEADER,
  ERROR_FIELD_HEADER,
  HEADER_LENGTH_HEADER,
  MODEL_NAME_HEADER,
  PRIORITY_HEADER,
  TIMEOUT_HEADER,
  USAGE_HEADER,
  type EncodedMessage,
  type Priority,
} from '@weir/open-inference';
import { SETTINGS, TOKEN_SIGNER } from '@weir/platform/service';
import { currentTraceparent } from '@weir/platform/telemetry';
import { LRUCache } from 'lru-cache';
import { Pool, type Dispatcher } from 'undici';
import type { GatewaySettings } from '../settings.ts';
import type { CallerPresence } from './caller-presence.ts';
import { UsageClaims } from './usage-claims.ts';

const CONNECT_TIMEOUT_MS = 2_000;
/** Idle workers' pools hold no socket after this. */
const KEEP_ALIVE_MS = 30_000;
/** Addresses that are kept: a worker that is restarted comes back with others, so the oldest are let go. */
const MAX_ADDRESSES = 1_000;
/**
 * Time beyond a call's deadline for the worker's answer to it, in milliseconds: the worker keeps the deadline, and its answer
 * reports what had begun to run. Without an answer by then nothing is metered.
 */
const DEADLINE_GRACE_MS = 1_000;
/** The same for the answer to a cancellation; then the connection is closed. */
const CANCEL_GRACE_MS = 1_000;
/** A cancellation can arrive before its call, which goes by another connection. */
const CANCEL_RETRY_MS = 100;
/** Largest answer of a worker. */
const MAX_RESPONSE_BYTES = 64 * 1_048_576;

export interface WorkerRequest {
  /** Base address of the worker. */
  readonly url: string;
  readonly modelId: string;
  readonly model: string;
  readonly version: string;
  readonly principal: Principal;
  readonly requestId: string;
  /** Open Inference Protocol request. */
  readonly message: EncodedMessage;
  readonly priority?: Priority | undefined;
  /** Time left for the call. */
  readonly timeoutMs: number;
  readonly caller?: CallerPresence | undefined;
}

export interface WorkerAnswer {
  /** Open Inference Protocol answer. */
  readonly message: EncodedMessage;
  /** Counts of the worker, as far as the request can explain them; without the call itself. */
  readonly quantities: readonly UsageQuantity[];
}

interface RawAnswer {
  readonly message: EncodedMessage;
  /** `USAGE_HEADER` as it came. */
  readonly usage: string | undefined;
}

/** What a worker is asked beside inferences. */
export interface WorkerQuestion {
  /** Base address of the worker. */
  readonly url: string;
  /** Sent with POST; without it the worker is asked with GET. */
  readonly body?: object;
  readonly path: string;
  readonly principal: Principal;
  readonly requestId: string;
  readonly timeoutMs: number;
}

/** The worker did not take the call, or was lost with it: another may be asked, since running a model has no effect. */
export class WorkerLostError extends Error {
  constructor(cause: unknown) {
    super('the worker was lost', { cause });
    this.name = 'WorkerLostError';
  }
}

/** The caller did not wait any longer, and parts of its call had begun to run. */
export class InterruptedCallError extends AppError {
  /** Of what had begun to run, without the call itself. */
  readonly quantities: readonly UsageQuantity[];

  constructor(code: 'request.timeout' | 'request.cancelled', quantities: readonly UsageQuantity[]) {
    super(code);
    this.quantities = quantities;
  }
}

/** The same as the worker answered it. */
class Interruption extends Error {
  readonly code: 'request.timeout' | 'request.cancelled';
  /** `USAGE_HEADER` as it came. */
  readonly usage: string;

  constructor(code: 'request.timeout' | 'request.cancelled', usage: string) {
    super(code);
    this.code = code;
    this.usage = usage;
  }
}

/** Step 5, run: calls workers by the Open Inference Protocol over kept connections. */
@Injectable()
export class WorkerClient implements OnApplicationShutdown {
  readonly #signer: InternalTokenSigner;
  readonly #claims: UsageClaims;
  readonly #settings: Pick<GatewaySettings, 'gatewayMaxInFlight'>;
  readonly #pools = new LRUCache<string, Pool>({
    max: MAX_ADDRESSES,
    // Calls that are under way are finished.
    dispose: (pool) => void pool.close(),
  });

  constructor(
    @Inject(TOKEN_SIGNER) signer: InternalTokenSigner,
    @Inject(UsageClaims) claims: UsageClaims,
    @Inject(SETTINGS) settings: Pick<GatewaySettings, 'gatewayMaxInFlight'>,
  ) {
    this.#signer = signer;
    this.#claims = claims;
    this.#settings = settings;
  }

  /**
   * @throws WorkerLostError      the connection failed before an answer
   * @throws InterruptedCallError the deadline passed, or the caller disconnected, after parts of the call had begun to run
   * @throws AppError             the worker's own error; request.timeout or request.cancelled when nothing had begun to run
   */
  async infer(request: WorkerRequest): Promise<WorkerAnswer> {
    const callId = randomUUID();
    const options = {
      method: 'POST',
      path: `/v2/models/${encodeURIComponent(request.modelId)}/versions/${encodeURIComponent(request.version)}/infer`,
      headers: headersOf(request, callId, await this.#tokenFor(request.principal)),
      body: request.message.body,
      headersTimeout: request.timeoutMs + DEADLINE_GRACE_MS,
      bodyTimeout: request.timeoutMs + DEADLINE_GRACE_MS,
    } as const;
    const cancel: Cancel = (isOver) => void this.#cancel(request, callId, isOver);
    try {
      const { message, usage } = await this.#call(request.url, options, request.caller, cancel);
      return { message, quantities: this.#claims.read(usage, request) };
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      throw new InterruptedCallError(error.code, this.#claims.read(error.usage, request));
    }
  }

  /** Has the worker end a call, which it then answers with what had begun to run. */
  async #cancel({ url, principal, requestId }: WorkerRequest, callId: string, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        await this.ask({ url, path: cancelPath(callId), body: {}, principal, requestId, timeoutMs: CANCEL_GRACE_MS });
        return;
      } catch {
        // Not arrived yet, or ended: then the call's own answer reports it.
        await sleep(CANCEL_RETRY_MS);
      }
    }
  }

  /**
   * Asks a worker for what is no inference.
   *
   * @returns the JSON of its answer
   * @throws worker.unreachable, request.timeout, the worker's own error, model.failed when its answer is no JSON
   */
  async ask({ url, path, body, principal, requestId, timeoutMs }: WorkerQuestion): Promise<unknown> {
    try {
      const { message } = await this.#call(url, {
        method: body === undefined ? 'GET' : 'POST',
        path,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          [INTERNAL_TOKEN_HEADER]: await this.#tokenFor(principal),
          [REQUEST_ID_HEADER]: requestId,
        },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      return JSON.parse(message.body.toString('utf8'));
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError(error instanceof SyntaxError ? 'model.failed' : 'worker.unreachable', { cause: error });
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  #call(url: string, options: Dispatcher.DispatchOptions, caller?: CallerPresence, cancel?: Cancel): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.#pool(url).dispatch(options, new AnswerHandler(caller, cancel, resolve, reject));
    });
  }

  async #tokenFor(principal: Principal): Promise<string> {
    return this.#signer.cached(principal, 'worker') ?? this.#signer.sign(principal, 'worker');
  }

  #pool(url: string): Pool {
    let pool = this.#pools.get(url);
    if (pool === undefined) {
      pool = new Pool(url, {
        // As many as calls are admitted: none waits here behind another tenant's, and workers queue fairly.
        connections: this.#settings.gatewayMaxInFlight,
        pipelining: 1,
        connectTimeout: CONNECT_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      });
      this.#pools.set(url, pool);
    }
    return pool;
  }
}

function headersOf(request: WorkerRequest, callId: string, token: string): Record<string, string> {
  const headers: Record<string, string> = {
    ...request.message.headers,
    [INTERNAL_TOKEN_HEADER]: token,
    [REQUEST_ID_HEADER]: request.requestId,
    [MODEL_NAME_HEADER]: request.model,
    [CALL_ID_HEADER]: callId,
    [TIMEOUT_HEADER]: String(Math.ceil(request.timeoutMs)),
  };
  if (request.priority !== undefined) headers[PRIORITY_HEADER] = request.priority;
  const traceparent = currentTraceparent();
  if (traceparent !== undefined) headers['traceparent'] = traceparent;
  return headers;
}

/** Asks for the end of a call whose caller has disconnected. @param isOver whether the call has ended */
type Cancel = (isOver: () => boolean) => void;

/** Collects one answer. The low-level interface of undici: a third of the cost of a stream per call. */
class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #caller: CallerPresence | undefined;
  readonly #cancel: Cancel | undefined;
  readonly #resolve: (answer: RawAnswer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #chunks: Buffer[] = [];
  #stopListening: (() => void) | undefined;
  #cancelGrace: NodeJS.Timeout | undefined;
  #isOver = false;
  #bytes = 0;
  #status = 0;
  #headers: Record<string, string | string[] | undefined> = {};

  constructor(
    caller: CallerPresence | undefined,
    cancel: Cancel | undefined,
    resolve: (answer: RawAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#caller = caller;
    this.#cancel = cancel;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const abort = (): void => controller.abort(new AppError('request.cancelled'));
    if (this.#caller?.isGone === true) return abort();
    this.#stopListening = this.#caller?.onGone(() => {
      this.#cancelGrace = setTimeout(abort, CANCEL_GRACE_MS);
      this.#cancel?.(() => this.#isOver);
    });
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_RESPONSE_BYTES)
      controller.abort(new AppError('model.failed', { message: 'The answer of the model is too large.' }));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#settle();
    const body = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    if (this.#status === 200)
      this.#resolve({
        message: { headers: messageHeaders(this.#headers), body },
        usage: text(this.#headers[USAGE_HEADER]),
      });
    else this.#reject(errorOf(this.#status, this.#headers, body));
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#settle();
    if (error instanceof AppError) this.#reject(error);
    else if ('code' in error && (error.code === 'UND_ERR_HEADERS_TIMEOUT' || error.code === 'UND_ERR_BODY_TIMEOUT'))
      this.#reject(new AppError('request.timeout', { cause: error }));
    else this.#reject(new WorkerLostError(error));
  }

  #settle(): void {
    this.#isOver = true;
    clearTimeout(this.#cancelGrace);
    this.#stopListening?.();
  }
}

/** The headers that say how the body is to be read. */
function messageHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const length = text(headers[HEADER_LENGTH_HEADER]);
  const type = text(headers['content-type']) ?? 'application/json';
  return length === undefined ? { 'content-type': type } : { 'content-type': type, [HEADER_LENGTH_HEADER]: length };
}

function text(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

/** A worker's errors that are about the worker, not about the call. */
const ELSEWHERE: ReadonlySet<string> = new Set(['model.not_found', 'model.not_ready', 'service.starting', 'service.stopping']);

/** The worker's error in the table's terms; a worker that is not ours may send another code or none. */
function errorOf(
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: Buffer,
): AppError | WorkerLostError | Interruption {
  const code = text(headers[ERROR_CODE_HEADER]);
  // It announced the model before it was restarted or told to stop: another worker may have it.
  if (code !== undefined && ELSEWHERE.has(code)) return new WorkerLostError(new AppError('model.not_ready'));
  const started = text(headers[USAGE_HEADER]);
  if (started !== undefined && (code === 'request.timeout' || code === 'request.cancelled')) return new Interruption(code, started);
  const retryAfterSeconds = Number(text(headers['retry-after']));
  const retryAfterMs = Number.isFinite(retryAfterSeconds) && retryAfterSeconds > 0 ? retryAfterSeconds * 1000 : undefined;
  const message = messageOf(body);
  if (code === 'auth.internal_token' || !isErrorCode(code)) {
    const detail = new Error(`the worker answered ${status}${code === undefined ? '' : ` ${code}`}`);
    if (status === 400) return new AppError('model.input_invalid', { message, cause: detail });
    return new AppError(status === 503 || status === 429 ? 'worker.overloaded' : 'model.failed', { retryAfterMs, cause: detail });
  }
  const field = text(headers[ERROR_FIELD_HEADER]);
  return new AppError(code, { message, field: field === undefined ? undefined : decodeURIComponent(field), retryAfterMs });
}

function messageOf(body: Buffer): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null && 'error' in parsed && typeof parsed.error === 'string') return parsed.error;
    return undefined;
  } catch {
    // Not JSON: the code alone says what happened.
    return undefined;
  }
}

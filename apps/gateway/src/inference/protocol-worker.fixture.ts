import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { INTERNAL_TOKEN_HEADER, InternalTokenVerifier, type InternalKeySet, type Principal } from '@weir/access';
import { AppError, ERROR_KINDS, toAppError } from '@weir/kernel';
import {
  decodeTensor,
  encodeResponse,
  CALL_ID_HEADER,
  ERROR_CODE_HEADER,
  ERROR_FIELD_HEADER,
  MODEL_NAME_HEADER,
  readRequest,
  USAGE_HEADER,
} from '@weir/open-inference';

/** What the worker was asked. */
export interface WorkerCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly principal: Principal;
  /** Resolves when the call is cancelled, or its connection is closed, before its answer. */
  readonly hungUp: Promise<void>;
}

/** Answers a call; without one, inferences give back their inputs under their own names. */
export type WorkerAnswers = (call: WorkerCall) => Promise<object | undefined> | object | undefined;

const CANCEL = /^\/v2\/calls\/([^/]+)\/cancel$/;

/**
 * Stands where a worker stands: speaks the protocol by the library that workers use, checks the gateway's tokens, and
 * answers inferences with their own inputs.
 */
export class ProtocolWorker {
  readonly calls: WorkerCall[] = [];
  answers: WorkerAnswers = () => undefined;
  /** Usage header of a call that is cancelled or times out: the part that had begun to run; null: nothing. */
  started: string | null = null;
  readonly #inProgress = new Map<string, { readonly response: ServerResponse; readonly hungUp: () => void }>();
  readonly #server: Server;
  readonly #verifier: InternalTokenVerifier;

  private constructor(keys: InternalKeySet) {
    this.#verifier = new InternalTokenVerifier('worker', keys);
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(keys: InternalKeySet): Promise<ProtocolWorker> {
    const worker = new ProtocolWorker(keys);
    await new Promise<void>((resolve) => worker.#server.listen(0, '127.0.0.1', resolve));
    return worker;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The last call. */
  get last(): WorkerCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('the worker was not asked');
    return call;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Ends a call as a worker does; what had begun to run is `started`. */
  #cancel(callId: string, response: ServerResponse): void {
    const call = this.#inProgress.get(callId);
    response.writeHead(call === undefined ? 404 : 200, { 'content-type': 'application/json' }).end('{}');
    if (call === undefined) return;
    call.hungUp();
    const usage = this.started === null ? {} : { [USAGE_HEADER]: this.started };
    call.response.writeHead(499, { ...usage, [ERROR_CODE_HEADER]: 'request.cancelled' }).end('{"error":"cancelled"}');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const token = request.headers[INTERNAL_TOKEN_HEADER];
      const { principal } = await this.#verifier.verify(typeof token === 'string' ? token : undefined);
      const cancelled = CANCEL.exec(request.url ?? '')?.[1];
      if (cancelled !== undefined) return this.#cancel(cancelled, response);
      const callId = String(request.headers[CALL_ID_HEADER]);
      const hungUp = Promise.withResolvers<void>();
      response.once('close', () => {
        this.#inProgress.delete(callId);
        if (!response.writableFinished) hungUp.resolve();
      });
      this.#inProgress.set(callId, { response, hungUp: hungUp.resolve });
      const call: WorkerCall = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
        principal,
        hungUp: hungUp.promise,
      };
      this.calls.push(call);
      const answer = await this.answers(call);
      if (response.writableEnded) return;
      if (answer !== undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      else echo(call, response);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (response.writableEnded) return;
      response
        .writeHead(ERROR_KINDS[error.kind].httpStatus, {
          [ERROR_CODE_HEADER]: error.code,
          ...(error.code === 'request.timeout' && this.started !== null ? { [USAGE_HEADER]: this.started } : {}),
          ...(error.field === undefined ? {} : { [ERROR_FIELD_HEADER]: encodeURIComponent(error.field) }),
        })
        .end(JSON.stringify({ error: error.message }));
    }
  }
}

function echo(call: WorkerCall, response: ServerResponse): void {
  if (!call.path.endsWith('/infer')) throw new AppError('request.not_found');
  const request = readRequest(call.body, call.headers);
  const outputs = request.inputs.map((input, index) => decodeTensor(input, `inputs[${index}]`));
  const answer = {
    model_name: String(call.headers[MODEL_NAME_HEADER]),
    model_version: '1',
    parameters: { usage: { inputs: 1, 'input-tokens': 0 } },
    outputs,
  };
  const { headers, body } = encoded(answer, request);
  response.writeHead(200, { ...headers, [USAGE_HEADER]: 'inputs=1,input-tokens=0' }).end(body);
}

/** As a worker has it: numbers of raw tensors that JSON cannot say are the caller's. */
function encoded(...message: Parameters<typeof encodeResponse>): ReturnType<typeof encodeResponse> {
  try {
    return encodeResponse(...message);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'model.failed') throw error;
    throw new AppError('model.input_invalid', { field: 'inputs', message: error.message });
  }
}

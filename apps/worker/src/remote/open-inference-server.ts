import type { RemoteBackEnd, Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import {
  DATATYPES,
  decodeTensor,
  encodeRequest,
  encodeTensor,
  HEADER_LENGTH_HEADER,
  PROCESSED_SIGNATURES,
  readRequest,
  type Datatype,
  type EncodedMessage,
  type MessageHeaders,
  type ModelMetadata,
  type RequestTensor,
  type TensorMetadata,
} from '@weir/open-inference';
import { currentTraceparent } from '@weir/platform/telemetry';
import { z } from 'zod';
import type { EdgeCall } from '../open-inference/edge.ts';
import type { PreparedCall, RemoteServer } from './remote-server.ts';
import { outlineOf, renamedAnswer, type RequestOutline } from './request-outline.ts';
import type { Upstream, UpstreamAnswer } from './upstream.ts';

const tensors = z.array(z.looseObject({ name: z.string(), datatype: z.string(), shape: z.array(z.coerce.number().int()) })).max(1_000);
const modelSchema = z.looseObject({
  platform: z.string().default(''),
  inputs: tensors.nullish().transform((inputs) => inputs ?? []),
  outputs: tensors.nullish().transform((outputs) => outputs ?? []),
  /** Weir's own word for what a task takes and gives instead. */
  parameters: z.looseObject({ processed: z.looseObject({ inputs: tensors, outputs: tensors }).optional().catch(undefined) }).nullish(),
});
const serverSchema = z.looseObject({ extensions: z.array(z.string()).nullish() });
const readySchema = z.looseObject({ ready: z.literal(false) });

const BINARY_EXTENSION = 'binary_tensor_data';

/** What the server says of the model. */
interface Described {
  readonly model: z.output<typeof modelSchema>;
  /** It takes the elements of tensors as bytes behind the JSON. */
  readonly takesBytes: boolean;
}

export interface OpenInferenceServerOptions {
  readonly upstream: Upstream;
  readonly backend: Extract<RemoteBackEnd, { kind: 'open-inference' }>;
  readonly task: Task;
  /** As the registry names it. */
  readonly version: string;
  /** Most elements of a call whose tensors have to be written anew. */
  readonly maxElements: number;
}

/**
 * A server of the Open Inference Protocol v2: Triton, KServe, MLServer, another Weir. Bodies are handed on as they came, and
 * answers too but for the names in them; only where the server does not take bytes, tensors are written as JSON.
 */
export class OpenInferenceServer implements RemoteServer {
  readonly #options: OpenInferenceServerOptions;
  readonly #path: string;
  #secret: string | undefined;
  #described: Described | null = null;

  constructor(options: OpenInferenceServerOptions) {
    const { model, version } = options.backend;
    this.#options = options;
    this.#path = `/v2/models/${encodeURIComponent(model)}${version === undefined ? '' : `/versions/${encodeURIComponent(version)}`}`;
  }

  async look(secret: string | undefined, signal: AbortSignal): Promise<void> {
    this.#secret = secret;
    try {
      const ready = await this.#get(`${this.#path}/ready`, signal);
      if (readySchema.safeParse(jsonOf(ready)).success)
        throw new AppError('model.not_ready', { message: 'The server that runs the model says that it is not ready.' });
      this.#described ??= await this.#describe(signal);
    } catch (error) {
      // What is not ready may come back as something else.
      this.#described = null;
      throw error;
    }
  }

  metadata(name: string): ModelMetadata {
    const { task, version } = this.#options;
    const { model } = this.#known();
    const processed = PROCESSED_SIGNATURES[task];
    return {
      name,
      versions: [version],
      platform: model.platform,
      inputs: model.inputs.filter(isCarried),
      outputs: model.outputs.filter(isCarried),
      parameters: { task, ...(processed === undefined ? {} : { processed }) },
    };
  }

  prepare(call: EdgeCall): PreparedCall {
    const { model, takesBytes } = this.#known();
    const outline = outlineOf(call.body, call.headers);
    const rows = rowsOf(outline, model.inputs);
    const message = takesBytes || !outline.inputs.some(({ isBinary }) => isBinary) ? asItCame(call) : this.#withoutBytes(call);
    return {
      rows,
      send: async () => {
        const { upstream, version } = this.#options;
        const answer = await upstream.request({
          method: 'POST',
          path: `${this.#path}/infer`,
          headers: { ...message.headers, ...traceHeaders() },
          body: message.body,
          secret: this.#secret,
          signal: call.signal,
        });
        const usage = { inputs: rows, 'input-tokens': 0 };
        const named = renamedAnswer(
          { headers: textHeaders(answer.headers), body: answer.body },
          { model_name: call.modelName, model_version: version, usage },
        );
        return { message: named, usage };
      },
    };
  }

  close(): Promise<void> {
    return this.#options.upstream.close();
  }

  destroy(): Promise<void> {
    return this.#options.upstream.destroy();
  }

  async #describe(signal: AbortSignal): Promise<Described> {
    const { task } = this.#options;
    const model = modelSchema.safeParse(jsonOf(await this.#get(this.#path, signal)));
    if (!model.success)
      throw new AppError('model.not_ready', {
        message: 'The server that runs the model does not describe it as the Open Inference Protocol says.',
      });
    assertDoes(task, model.data);
    const server = serverSchema.safeParse(jsonOf(await this.#get('/v2', signal)));
    return { model: model.data, takesBytes: server.data?.extensions?.includes(BINARY_EXTENSION) === true };
  }

  #get(path: string, signal: AbortSignal): Promise<UpstreamAnswer> {
    return this.#options.upstream.request({ method: 'GET', path, headers: { accept: 'application/json' }, secret: this.#secret, signal });
  }

  #known(): Described {
    if (this.#described === null) throw new AppError('model.not_ready');
    return this.#described;
  }

  /** The same request in JSON alone. What it asks to have back as bytes may come in JSON: callers can read both. */
  #withoutBytes({ body, headers }: EdgeCall): EncodedMessage {
    const request = readRequest(body, headers, { maxTensors: Infinity, maxElements: this.#options.maxElements });
    return encodeRequest({ ...request, inputs: request.inputs.map(inJson) });
  }
}

function inJson(tensor: RequestTensor, index: number): RequestTensor {
  if (!(tensor.data instanceof Uint8Array)) return tensor;
  const { binary_data_size: _, ...parameters } = tensor.parameters ?? {};
  const encoded = encodeTensor(decodeTensor(tensor, `inputs[${index}]`));
  return { ...encoded, parameters: { ...parameters, ...encoded.parameters } };
}

function asItCame({ body, headers }: EdgeCall): EncodedMessage {
  const length = headers[HEADER_LENGTH_HEADER];
  if (typeof length !== 'string') return { headers: { 'content-type': 'application/json' }, body };
  return { headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH_HEADER]: length }, body };
}

function textHeaders(headers: MessageHeaders): Record<string, string> {
  const length = headers[HEADER_LENGTH_HEADER];
  return typeof length === 'string' ? { [HEADER_LENGTH_HEADER]: length } : {};
}

function traceHeaders(): Record<string, string> {
  const traceparent = currentTraceparent();
  return traceparent === undefined ? {} : { traceparent };
}

/** Items of a call: the largest first axis of its inputs that the model leaves open (-1) or does not describe; else one. */
function rowsOf({ inputs }: RequestOutline, described: readonly Pick<TensorMetadata, 'name' | 'shape'>[]): number {
  const rows = inputs.map(({ name, shape }) => {
    const isFixed = (described.find((input) => input.name === name)?.shape[0] ?? -1) > 0;
    return isFixed ? 1 : (shape[0] ?? 1);
  });
  return Math.max(1, ...rows);
}

/** @throws model.package_invalid when the server takes or gives other tensors than the task */
function assertDoes(task: Task, { inputs, outputs, parameters }: z.output<typeof modelSchema>): void {
  const wanted = PROCESSED_SIGNATURES[task];
  if (wanted === undefined) return;
  const given = parameters?.processed ?? { inputs, outputs };
  const takes = wanted.inputs.some((input) =>
    given.inputs.some(({ name, datatype }) => name === input.name && datatype === input.datatype),
  );
  const gives = wanted.outputs.every((output) => given.outputs.some(({ name }) => name === output.name));
  if (takes && gives) return;
  const list = (names: readonly { readonly name: string }[]) => names.map(({ name }) => JSON.stringify(name)).join(', ') || 'nothing';
  throw new AppError('model.package_invalid', {
    message:
      `For ${task} the server must take ${wanted.inputs.map(({ name, datatype }) => `${JSON.stringify(name)} ${datatype}`).join(' or ')} and give ` +
      `${list(wanted.outputs)}; it takes ${list(given.inputs)} and gives ${list(given.outputs)}. Publish it for tensors.`,
  });
}

/** Tensors of datatypes that Weir does not carry are not described: nobody could send them. */
function isCarried<T extends { readonly datatype: string }>(tensor: T): tensor is T & { readonly datatype: Datatype } {
  return DATATYPES.some((datatype) => datatype === tensor.datatype);
}

function jsonOf({ body }: UpstreamAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Triton says that a model is ready with no body at all.
    return undefined;
  }
}

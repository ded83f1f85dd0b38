import type { RemoteBackEnd, Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import {
  EMBEDDING_OUTPUT,
  encodeResponse,
  PROCESSED_SIGNATURES,
  readRequest,
  TEXT_INPUT,
  type InferenceRequest,
  type InferenceUsage,
  type ModelMetadata,
  type Tensor,
} from '@weir/open-inference';
import { currentTraceparent } from '@weir/platform/telemetry';
import type { EdgeCall } from '../open-inference/edge.ts';
import { textsOf } from '../serving/tasks/processed-input.ts';
import type { TaskLimits } from '../serving/tasks/task.ts';
import { embeddingsOf, listsOther, mostInputTokens } from './openai-answers.ts';
import type { PreparedCall, RemoteServer } from './remote-server.ts';
import { ServerRefusal } from './upstream-error.ts';
import type { Upstream } from './upstream.ts';

const MAX_TENSORS = 64;

export interface OpenAiServerOptions {
  readonly upstream: Upstream;
  readonly backend: Extract<RemoteBackEnd, { kind: 'openai' }>;
  readonly task: Task;
  /** As the registry names it. */
  readonly version: string;
  readonly maxElements: number;
  readonly limits: TaskLimits;
  /** Told of a count that the request cannot explain; `metered` is what is metered instead. */
  readonly onExcessiveClaim: (claim: { readonly claimed: number; readonly metered: number }) => void;
}

/** A server of OpenAI's API, for embeddings: texts are sent to `/embeddings` behind its base address. */
export class OpenAiServer implements RemoteServer {
  readonly #options: OpenAiServerOptions;
  #secret: string | undefined;

  constructor(options: OpenAiServerOptions) {
    this.#options = options;
  }

  async look(secret: string | undefined, signal: AbortSignal): Promise<void> {
    const { upstream, backend, task } = this.#options;
    if (task !== 'feature-extraction')
      throw new AppError('model.package_invalid', { message: `A server of OpenAI's API is not called for ${task}.` });
    this.#secret = secret;
    try {
      const { body } = await upstream.request({ method: 'GET', path: '/models', headers: {}, secret, signal });
      if (listsOther(body, backend.model))
        throw new AppError('model.not_ready', { message: 'The server that is to run the model has none of that name.' });
    } catch (error) {
      // Some servers have embeddings and no list of models: then they answer, and the first call will tell.
      if (error instanceof AppError && error.cause instanceof ServerRefusal && error.cause.status === 404) return;
      throw error;
    }
  }

  metadata(name: string): ModelMetadata {
    const { task, version } = this.#options;
    const processed = PROCESSED_SIGNATURES[task];
    return {
      name,
      versions: [version],
      platform: 'openai',
      inputs: processed?.inputs ?? [],
      outputs: processed?.outputs ?? [],
      parameters: { task, processed },
    };
  }

  prepare(call: EdgeCall): PreparedCall {
    const { maxElements, limits, upstream, backend, version } = this.#options;
    const request = readRequest(call.body, call.headers, { maxTensors: MAX_TENSORS, maxElements });
    assertEmbeds(request);
    const { inputs, outputs = [], parameters = {} } = request;
    const texts = textsOf({ request: { inputs, outputs, parameters }, limits });
    return {
      rows: texts.length,
      send: async () => {
        const traceparent = currentTraceparent();
        const { body } = await upstream.request({
          method: 'POST',
          path: '/embeddings',
          headers: { 'content-type': 'application/json', ...(traceparent === undefined ? {} : { traceparent }) },
          // Half the bytes of numbers in JSON, and exact; servers that do not know it answer with numbers.
          body: Buffer.from(JSON.stringify({ model: backend.model, input: texts, encoding_format: 'base64' })),
          secret: this.#secret,
          signal: call.signal,
        });
        const { vectors, inputTokens } = embeddingsOf(body, texts.length);
        const usage: InferenceUsage = { inputs: texts.length, 'input-tokens': this.#explained(inputTokens, texts) };
        const embedding: Tensor = { name: EMBEDDING_OUTPUT, datatype: 'FP32', ...vectors };
        const answer = { model_name: call.modelName, model_version: version, parameters: { usage }, outputs: [embedding] };
        return { message: encodeResponse(answer, request), usage };
      },
    };
  }

  /** The server's count of tokens, or the most that the texts can explain. */
  #explained(claimed: number, texts: readonly string[]): number {
    const most = mostInputTokens(texts);
    if (claimed <= most) return claimed;
    this.#options.onExcessiveClaim({ claimed, metered: most });
    return most;
  }

  close(): Promise<void> {
    return this.#options.upstream.close();
  }

  destroy(): Promise<void> {
    return this.#options.upstream.destroy();
  }
}

/** @throws model.input_invalid when a request is not one for embeddings */
function assertEmbeds({ inputs, outputs = [] }: InferenceRequest): void {
  const [input, ...others] = inputs;
  if (input?.name !== TEXT_INPUT || others.length > 0)
    throw new AppError('model.input_invalid', {
      field: 'inputs',
      message: `expected one input, ${JSON.stringify(TEXT_INPUT)}, got ${inputs.map(({ name }) => JSON.stringify(name.slice(0, 80))).join(', ')}`,
    });
  if (input.datatype !== 'BYTES')
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].datatype',
      message: `input ${JSON.stringify(TEXT_INPUT)}: expected datatype BYTES, got ${input.datatype}`,
    });
  for (const [index, { name }] of outputs.entries()) {
    if (name === EMBEDDING_OUTPUT) continue;
    throw new AppError('model.input_invalid', {
      field: `outputs[${index}].name`,
      message: `unknown output ${JSON.stringify(name.slice(0, 80))}; for this input the model gives ${JSON.stringify(EMBEDDING_OUTPUT)}`,
    });
  }
}

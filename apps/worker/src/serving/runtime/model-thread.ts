import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { TensorData } from '@weir/open-inference';
import { createTextTokenizer, type TextTokenizer } from '../tasks/tokenization.ts';
import type { LoadedSignature, OnnxTensor, OnnxType, RunResult, ThreadReply, ThreadRequest, TokenizerSource } from './messages.ts';

// The thread that holds the ONNX Runtime sessions: `create` and `run` block the thread that calls them, so no
// event loop that others wait for may do it. One request at a time, in order; nothing of the platform is loaded here.

interface Loaded {
  readonly session: InferenceSession;
  readonly tokenizer: TextTokenizer | null;
}

const loaded = new Map<string, Loaded>();

/** Fatal messages only: what a run reports comes back as its error. */
const LOG_SEVERITY_FATAL = 4;

const port = parentPort;
if (port === null) throw new Error('model-thread runs as a worker thread only');

let turn: Promise<void> = Promise.resolve();
port.on('message', (request: ThreadRequest) => {
  turn = turn.then(async () => {
    try {
      const reply = await handle(request);
      port.postMessage(reply, transferables(reply));
    } catch (error) {
      port.postMessage({ call: request.call, error: error instanceof Error ? error.message : String(error) } satisfies ThreadReply);
    }
  });
});

async function handle(request: ThreadRequest): Promise<ThreadReply> {
  const { call, versionId } = request;
  switch (request.kind) {
    case 'load': {
      // First what can fail without a session: one that nobody holds would keep its memory.
      const tokenizer = request.tokenizer === null ? null : tokenizerOf(request.tokenizer);
      const session = await InferenceSession.create(request.modelFile, {
        intraOpNumThreads: request.intraOpThreads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: LOG_SEVERITY_FATAL,
        // Spinning threads burn the cores that the rest of the platform needs.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
      });
      loaded.set(versionId, { session, tokenizer });
      return { call, signature: signatureOf(session) };
    }
    case 'unload': {
      const session = loaded.get(versionId)?.session;
      loaded.delete(versionId);
      await session?.release();
      return { call, done: true };
    }
    case 'run':
      return { call, result: { outputs: await run(modelOf(versionId).session, request.feeds, request.outputs), tokens: 0 } };
    case 'run-texts':
      return { call, result: await runTexts(modelOf(versionId), request.texts, request.outputs) };
  }
}

function modelOf(versionId: string): Loaded {
  const model = loaded.get(versionId);
  if (model === undefined) throw new Error('the model is not loaded');
  return model;
}

function tokenizerOf({ tokenizerFile, tokenizerConfigFile, maxTokens, padTokenId }: TokenizerSource): TextTokenizer {
  return createTextTokenizer(json(tokenizerFile), json(tokenizerConfigFile), maxTokens, padTokenId);
}

function json(file: string): object {
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof content !== 'object' || content === null) throw new Error('a tokenizer file is not a JSON object');
  return content;
}

function signatureOf(session: InferenceSession): LoadedSignature {
  const infos = (metadata: readonly InferenceSession.ValueMetadata[]) =>
    metadata.map((value) =>
      value.isTensor
        ? { name: value.name, type: value.type, dims: [...value.shape] }
        : { name: value.name, type: 'not a tensor', dims: [] },
    );
  return { inputs: infos(session.inputMetadata), outputs: infos(session.outputMetadata) };
}

async function runTexts({ session, tokenizer }: Loaded, texts: readonly string[], outputs: readonly string[]): Promise<RunResult> {
  if (tokenizer === null) throw new Error('the model has no tokenizer');
  const batch = tokenizer.encode(texts);
  const dims = [batch.rows, batch.columns];
  const feeds: OnnxTensor[] = session.inputNames.map((name) => ({ name, type: 'int64', dims, data: textInput(name) }));
  return { outputs: await run(session, feeds, outputs), tokens: batch.tokens };

  function textInput(name: string): BigInt64Array {
    if (name === 'input_ids') return batch.inputIds;
    if (name === 'attention_mask') return batch.attentionMask;
    const zeros = new BigInt64Array(batch.rows * batch.columns);
    if (name === 'token_type_ids') return zeros;
    if (name === 'position_ids') return zeros.map((_, index) => BigInt(index % batch.columns));
    throw new Error(`the model has an input that text does not fill: ${name}`);
  }
}

async function run(session: InferenceSession, feeds: readonly OnnxTensor[], outputs: readonly string[]): Promise<OnnxTensor[]> {
  // Without a prototype: `__proto__` is a legal name of a tensor.
  const values: Record<string, Tensor> = Object.create(null);
  for (const feed of feeds) values[feed.name] = tensorOf(feed);
  const results = await session.run(values, [...outputs]);
  return outputs.map((name) => {
    const result = results[name];
    if (result === undefined) throw new Error('the model did not give an output that was asked for');
    const { type, dims, data } = result;
    const plain =
      ArrayBuffer.isView(data) && type === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : data;
    return { name, type: type as OnnxType, dims: [...dims], data: plain as TensorData };
  });
}

function tensorOf({ type, dims, data }: OnnxTensor): Tensor {
  if (type !== 'float16') return new Tensor(type, data, dims);
  // A float16 tensor cannot be built directly while the engine has a Float16Array of its own: build it as what its bits are.
  const tensor = new Tensor('uint16', data as Uint16Array, dims);
  Object.defineProperty(tensor, 'type', { value: 'float16' });
  return tensor;
}

/** Buffers are handed over, not copied. */
function transferables(reply: ThreadReply): ArrayBuffer[] {
  if (!('result' in reply)) return [];
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of reply.result.outputs) if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}

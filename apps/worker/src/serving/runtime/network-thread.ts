import { InferenceSession, Tensor } from 'onnxruntime-node';
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import path from 'node:path';
import { parentPort } from 'node:worker_threads';
import type { TensorData } from '@weir/open-inference';
import type { LoadedSignature, OnnxTensor, OnnxType, SessionOptions, ThreadReply, ThreadRequest } from './messages.ts';

// The thread of one ONNX Runtime session: `create` and `run` block the thread that calls them, so each network has its
// own, and none holds up another or the callers. One request at a time; nothing of the platform is loaded here.

/** Fatal messages only: what a run reports comes back as its error. */
const LOG_SEVERITY_FATAL = 4;
/** As `nice` has it: enough that the accepting thread does not wait for a core while networks run on all of them. */
const PRIORITY = 5;

const port = parentPort;
if (port === null) throw new Error('network-thread runs as a worker thread only');

giveWay();

let session: InferenceSession | null = null;

port.on('message', (request: ThreadRequest) => {
  handle(request).then(
    (reply) => port.postMessage(reply, reply.kind === 'ran' ? buffersOf(reply.outputs) : []),
    (error: unknown) =>
      port.postMessage({ kind: 'failed', error: error instanceof Error ? error.message : String(error) } satisfies ThreadReply),
  );
});

async function handle(request: ThreadRequest): Promise<ThreadReply> {
  switch (request.kind) {
    case 'load':
      session = await InferenceSession.create(request.file, optionsOf(request.options));
      return { kind: 'loaded', signature: signatureOf(session) };
    case 'run': {
      if (session === null) throw new Error('the model is not loaded');
      const startedAtMs = performance.now();
      const outputs = await run(session, request.feeds, request.outputs);
      return { kind: 'ran', outputs, ms: performance.now() - startedAtMs };
    }
    case 'release':
      await session?.release();
      session = null;
      return { kind: 'released' };
  }
}

function optionsOf({ executionProviders, intraOpThreads }: SessionOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: [...executionProviders],
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: LOG_SEVERITY_FATAL,
    // Threads that spin burn the cores that other models need: half the CPU for the same work without.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

function signatureOf(loaded: InferenceSession): LoadedSignature {
  const infos = (metadata: readonly InferenceSession.ValueMetadata[]) =>
    metadata.map((value) =>
      value.isTensor
        ? { name: value.name, type: value.type, dims: [...value.shape] }
        : { name: value.name, type: 'not a tensor', dims: [] },
    );
  return { inputs: infos(loaded.inputMetadata), outputs: infos(loaded.outputMetadata) };
}

async function run(loaded: InferenceSession, feeds: readonly OnnxTensor[], outputs: readonly string[]): Promise<OnnxTensor[]> {
  // Without a prototype: `__proto__` is a legal name of a tensor.
  const values: Record<string, Tensor> = Object.create(null);
  for (const feed of feeds) values[feed.name] = tensorOf(feed);
  const results = await loaded.run(values, [...outputs]);
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
  if (type !== 'float16') return new Tensor(type, data as TensorData & string[], dims);
  // A float16 tensor cannot be built directly while the engine has a Float16Array of its own: build it as what its bits are.
  const tensor = new Tensor('uint16', data as Uint16Array, dims);
  Object.defineProperty(tensor, 'type', { value: 'float16' });
  return tensor;
}

/** Buffers are handed over, not copied. */
function buffersOf(outputs: readonly OnnxTensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of outputs) if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}

/** Lets other threads go before this one. Linux, where threads have priorities of their own. */
function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Number(path.basename(readlinkSync('/proc/thread-self'))), PRIORITY);
  } catch {
    // A system that does not let it: then all threads are equal.
  }
}

import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { PackageFile, Task } from '@weir/contracts';
import { sumOfUsage, type InferenceRequest, type Parameters, type RequestTensor, type Tensor, type TensorData } from '@weir/open-inference';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { PaddingRule } from '../model-package/network.ts';
import { readModelPackage } from '../model-package/model-package.ts';
import type { LoadedSignature, OnnxTensor, OnnxType } from '../runtime/messages.ts';
import { RunRefusedError } from '../runtime/run-refused.ts';
import { infer } from './infer.ts';
import type { RunItem, SequenceState, TaskAnswer, TaskCall, TaskLimits, TaskVersion } from './task.ts';
import { prepareVersion } from './tasks.ts';

/** Bounds that do not get in the way of a spec that is about something else. */
export const SPEC_LIMITS: TaskLimits = { maxItems: 64, maxTextCharacters: 50_000, maxImagePixels: 4_000_000, maxAudioSeconds: 60 };

export interface SpecCallOptions {
  readonly limits?: Partial<TaskLimits>;
  readonly signal?: AbortSignal;
  readonly sequence?: SequenceState;
}

/** A package whose networks are open in this process, one ONNX Runtime session each, without queues and batches. */
export interface OpenPackage {
  readonly version: TaskVersion;
  /** What tasks have run, in order. */
  readonly runs: readonly RunItem[];
  /** A call of the version with this request. */
  call(request: Pick<InferenceRequest, 'inputs' | 'outputs' | 'parameters'>, options?: SpecCallOptions): TaskCall;
  /** Answers one processed input of `n` items, or any raw ones. */
  infer(
    inputs: readonly RequestTensor[],
    options?: SpecCallOptions & { readonly outputs?: readonly string[]; readonly parameters?: Parameters },
  ): Promise<TaskAnswer>;
  close(): Promise<void>;
}

/**
 * Opens a package folder as a worker does.
 *
 * @param padTo pads every row that has a length to this one by the rule of its network, as a run with a longer neighbour does
 */
export async function openPackage(directory: string, task: Task, { padTo = 0 }: { readonly padTo?: number } = {}): Promise<OpenPackage> {
  const modelPackage = await readModelPackage(directory, await filesOf(directory), task);
  const sessions = new Map<string, InferenceSession>();
  for (const [role, { file }] of modelPackage.networks)
    sessions.set(role, await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 4 }));
  const version = await prepareVersion(modelPackage, new Map([...sessions].map(([role, session]) => [role, signatureOf(session)])));
  const runs: RunItem[] = [];
  const run = async (item: RunItem): Promise<readonly OnnxTensor[]> => {
    const session = sessions.get(item.network);
    if (session === undefined) throw new Error(`there is no network ${item.network}`);
    runs.push({ ...item, feeds: item.feeds.map((feed) => ({ ...feed, data: feed.data.slice() as TensorData })) });
    const rule = modelPackage.networks.get(item.network)?.padding ?? null;
    try {
      const length = rule === null ? 0 : lengthOf(item, rule);
      if (rule === null || length === 0 || padTo <= length) return await runSession(session, item.feeds, item.outputs);
      const outputs = await runSession(session, padded(item.feeds, rule, padTo), item.outputs);
      return outputs.map((output) => cut(output, rule, length));
    } finally {
      giveAway(item.feeds);
    }
  };
  const call: OpenPackage['call'] = ({ inputs, outputs = [], parameters = {} }, options = {}) => ({
    version,
    request: { inputs, outputs, parameters },
    limits: { ...SPEC_LIMITS, ...options.limits },
    signal: options.signal ?? new AbortController().signal,
    run,
    sequence: options.sequence ?? null,
  });
  return {
    version,
    runs,
    call,
    infer: async (inputs, { outputs = [], parameters = {}, ...options } = {}) => {
      const items: RunItem[] = [];
      const spied = call({ inputs, outputs: outputs.map((name) => ({ name })), parameters }, options);
      const answer = await infer({
        ...spied,
        run: (item) => {
          items.push(item);
          return run(item);
        },
      });
      assertUsageOfItems(items, answer);
      return answer;
    },
    close: async () => {
      await version.prepared?.close();
      for (const session of sessions.values()) await session.release();
    },
  };
}

/** An interrupted call is metered by the usage of its items: the sum over all items must equal the usage of the answer. */
function assertUsageOfItems(items: readonly RunItem[], { usage }: TaskAnswer): void {
  const ofItems = sumOfUsage(items.flatMap((item) => item.usage ?? []));
  if (items.length > 0 && !isDeepStrictEqual(ofItems, usage))
    throw new Error(`the items of the call count ${JSON.stringify(ofItems)}, its answer ${JSON.stringify(usage)}`);
}

/** One processed input of strings, as the JSON of a request has it. */
export function aProcessedInput(name: string, items: readonly unknown[]): RequestTensor {
  return { name, datatype: 'BYTES', shape: [items.length], data: items };
}

/** An output of an answer by its name. */
export function outputOf({ outputs }: TaskAnswer, name: string): Tensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output === undefined) throw new Error(`there is no output ${name}`);
  return output;
}

async function filesOf(directory: string): Promise<PackageFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files: PackageFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.push({ path: relative(directory, path), sha256: '', sizeBytes: (await stat(path)).size });
  }
  return files;
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

async function runSession(session: InferenceSession, feeds: readonly OnnxTensor[], outputs: readonly string[]): Promise<OnnxTensor[]> {
  const values: Record<string, OrtTensor> = Object.create(null);
  for (const feed of feeds) values[feed.name] = ortTensor(feed);
  let results: InferenceSession.ReturnType;
  try {
    results = await session.run(values, [...outputs]);
  } catch (error) {
    throw new RunRefusedError(error instanceof Error ? error.message : String(error));
  }
  return outputs.map((name) => {
    const result = results[name];
    if (result === undefined) throw new Error(`the model did not give ${name}`);
    const { type, dims, data } = result;
    const plain =
      ArrayBuffer.isView(data) && type === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : data;
    return { name, type: type as OnnxType, dims: [...dims], data: plain as OnnxTensor['data'] };
  });
}

/** What is fed to a network is gone afterwards, as in a worker. */
function giveAway(feeds: readonly OnnxTensor[]): void {
  for (const { data } of feeds) {
    if (!ArrayBuffer.isView(data) || !(data.buffer instanceof ArrayBuffer) || data.byteLength !== data.buffer.byteLength) continue;
    structuredClone(data.buffer, { transfer: [data.buffer] });
  }
}

function ortTensor({ type, dims, data }: OnnxTensor): OrtTensor {
  if (type !== 'float16') return new OrtTensor(type, data as TensorData & string[], dims);
  const tensor = new OrtTensor('uint16', data as Uint16Array, dims);
  Object.defineProperty(tensor, 'type', { value: 'float16' });
  return tensor;
}

/** Size of the padded axis; 0 where no input has one. */
function lengthOf({ feeds }: RunItem, { inputs }: PaddingRule): number {
  const feed = feeds.find(({ name }) => inputs.has(name));
  return feed?.dims[inputs.get(feed.name)?.axis ?? -1] ?? 0;
}

/** Feeds whose axes of the length are filled up to `length`. */
function padded(feeds: readonly OnnxTensor[], rule: PaddingRule, length: number): OnnxTensor[] {
  return feeds.map((feed) => {
    const input = rule.inputs.get(feed.name);
    return input === undefined ? feed : resized(feed, input.axis, length, input.fill);
  });
}

/** An output without what was padded. */
function cut(output: OnnxTensor, { outputs }: PaddingRule, length: number): OnnxTensor {
  return outputs === 'uncut' || outputs.rank !== output.dims.length ? output : resized(output, outputs.axis, length, 0);
}

/** The tensor with another size of one axis: cut, or filled at its end. */
function resized(tensor: OnnxTensor, axis: number, size: number, fill: number): OnnxTensor {
  const { dims, data } = tensor;
  const inner = dims.slice(axis + 1).reduce((product, each) => product * each, 1);
  const outer = dims.slice(0, axis).reduce((product, each) => product * each, 1);
  const before = dims[axis] ?? 0;
  const numbers = Array.from({ length: outer * size * inner }, (_, index) => {
    const block = Math.floor(index / (size * inner));
    const rest = index % (size * inner);
    return rest < before * inner ? Number(data[block * before * inner + rest]) : fill;
  });
  const resizedDims = dims.map((each, at) => (at === axis ? size : each));
  if (data instanceof BigInt64Array) return { ...tensor, dims: resizedDims, data: BigInt64Array.from(numbers, BigInt) };
  if (data instanceof Int32Array) return { ...tensor, dims: resizedDims, data: Int32Array.from(numbers) };
  if (data instanceof Float32Array) return { ...tensor, dims: resizedDims, data: Float32Array.from(numbers) };
  if (data instanceof Uint16Array) return { ...tensor, dims: resizedDims, data: Uint16Array.from(numbers) };
  throw new Error(`the fixture does not pad ${tensor.type}`);
}

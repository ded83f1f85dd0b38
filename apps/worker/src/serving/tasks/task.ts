import type { InferenceUsage, RequestedOutput, RequestTensor, Tensor } from '@weir/open-inference';
import type { ModelPackage } from '../model-package/model-package.ts';
import type { OnnxTensor } from '../runtime/messages.ts';
import type { Signature } from './signature.ts';

/** Bounds of one call, from the settings. */
export interface TaskLimits {
  /** Sentences, pictures, rows. */
  readonly maxItems: number;
  readonly maxTextCharacters: number;
  readonly maxImagePixels: number;
  readonly maxAudioSeconds: number;
}

/** Work for one network of a package: rows that belong together. Rows of different items may share a run; sizes are those of the feeds. */
export interface RunItem {
  /** Which network of the package, by its role; most packages have `model` alone. */
  readonly network: string;
  /** Each with the rows as its first axis, where the network has a batch axis. Given away: the buffers are gone afterwards. */
  readonly feeds: readonly OnnxTensor[];
  readonly outputs: readonly string[];
  /**
   * Usage metered for this item from the moment that its run begins; absent where another item of the call covers it. The sum over
   * all items is the usage of the answer.
   */
  readonly usage?: InferenceUsage;
}

/** The usage of an item that is one input and has no tokens. */
export const ONE_INPUT: InferenceUsage = { inputs: 1, 'input-tokens': 0 };

/** A version as tasks see it: what its package says, the signature of each of its networks by role, and what its task made of them. */
export interface TaskVersion {
  readonly modelPackage: ModelPackage;
  readonly signatures: ReadonlyMap<string, Signature>;
  /** Answers calls with processed inputs; null for a model that takes raw tensors alone. */
  readonly prepared: PreparedTask | null;
}

/** A task with all that it needs for the calls of one loaded version: its tokenizer, its list of items. */
export interface PreparedTask {
  infer(call: TaskCall): Promise<TaskAnswer>;
  /** Gives back what the task holds, a thread say, when the version is unloaded. */
  close(): Promise<void>;
}

/** What a request asks for, with its inputs as they came. */
export interface TaskRequest {
  readonly inputs: readonly RequestTensor[];
  readonly outputs: readonly RequestedOutput[];
  /** `parameters` of the request. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** One call of a version. */
export interface TaskCall {
  readonly version: TaskVersion;
  readonly request: TaskRequest;
  readonly limits: TaskLimits;
  /** Aborted with the reason when the caller has gone or the deadline has passed. */
  readonly signal: AbortSignal;
  /**
   * Runs rows of a network. What is asked for at once may share a run, in whatever order serves best.
   *
   * @throws RunRefusedError  ONNX Runtime does not take these tensors
   * @throws worker.overloaded, model.not_ready, service.stopping, and the signal's reason
   */
  run(item: RunItem): Promise<readonly OnnxTensor[]>;
  /** State of the sequence that the request names, for models that have one. */
  readonly sequence: SequenceState | null;
}

/** The recurrent state of one sequence of calls, between them. */
export interface SequenceState {
  /** State tensors by the name of the network's input; empty at the start of the sequence. */
  readonly tensors: Map<string, OnnxTensor>;
  /** What a task keeps beside them, such as the samples of the last frame. */
  readonly memory: Map<string, Float32Array>;
}

export interface TaskAnswer {
  readonly outputs: readonly Tensor[];
  readonly usage: InferenceUsage;
}

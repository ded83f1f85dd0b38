import type { TensorData } from '@weir/open-inference';

// What travels between the process and the thread that runs the models. Plain data: nothing of the platform is loaded in the thread.

/** Element types in ONNX Runtime's words. */
export type OnnxType =
  'bool' | 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'int8' | 'int16' | 'int32' | 'int64' | 'float16' | 'float32' | 'float64' | 'string';

export interface OnnxTensor {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** A tensor in a model's signature; a name or a number below 1 in `dims` is a size that the caller chooses. */
export interface OnnxTensorInfo {
  readonly name: string;
  /** As ONNX Runtime names it: may be one that the platform does not carry. */
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

export interface TokenizerSource {
  readonly tokenizerFile: string;
  readonly tokenizerConfigFile: string;
  readonly maxTokens: number;
  readonly padTokenId: number;
}

export type ThreadRequest =
  | {
      readonly kind: 'load';
      readonly call: number;
      readonly versionId: string;
      readonly modelFile: string;
      readonly intraOpThreads: number;
      readonly tokenizer: TokenizerSource | null;
    }
  | { readonly kind: 'unload'; readonly call: number; readonly versionId: string }
  | {
      readonly kind: 'run';
      readonly call: number;
      readonly versionId: string;
      readonly feeds: readonly OnnxTensor[];
      readonly outputs: readonly string[];
    }
  | {
      readonly kind: 'run-texts';
      readonly call: number;
      readonly versionId: string;
      readonly texts: readonly string[];
      readonly outputs: readonly string[];
    };

export interface LoadedSignature {
  readonly inputs: readonly OnnxTensorInfo[];
  readonly outputs: readonly OnnxTensorInfo[];
}

export interface RunResult {
  readonly outputs: readonly OnnxTensor[];
  /** Tokens that the model read, padding not counted; 0 for tensors. */
  readonly tokens: number;
}

export type ThreadReply =
  | { readonly call: number; readonly signature: LoadedSignature }
  | { readonly call: number; readonly result: RunResult }
  | { readonly call: number; readonly done: true }
  /** `error` is ONNX Runtime's own text: not for callers before it is scrubbed. */
  | { readonly call: number; readonly error: string };

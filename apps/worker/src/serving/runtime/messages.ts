import type { TensorData } from '@weir/open-inference';

// What travels between the accepting thread and the threads of the models. Plain data: nothing of the platform is loaded there.

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

export interface LoadedSignature {
  readonly inputs: readonly OnnxTensorInfo[];
  readonly outputs: readonly OnnxTensorInfo[];
}

/** How a session is made. */
export interface SessionOptions {
  /** ONNX Runtime's names, in order of preference. */
  readonly executionProviders: readonly string[];
  readonly intraOpThreads: number;
}

export type ThreadRequest =
  | { readonly kind: 'load'; readonly file: string; readonly options: SessionOptions }
  | { readonly kind: 'run'; readonly feeds: readonly OnnxTensor[]; readonly outputs: readonly string[] }
  | { readonly kind: 'release' };

export type ThreadReply =
  | { readonly kind: 'loaded'; readonly signature: LoadedSignature }
  | { readonly kind: 'ran'; readonly outputs: readonly OnnxTensor[]; readonly ms: number }
  | { readonly kind: 'released' }
  /** `error` is ONNX Runtime's own text: not for callers before it is scrubbed. */
  | { readonly kind: 'failed'; readonly error: string };

import type { InferenceUsage, ResponseTensor } from '@weir/open-inference';
import type { ModelPackage } from '../packages/model-package.ts';
import type { ModelRuntime } from '../runtime/model-runtime.ts';
import type { Signature } from './signature.ts';

/** Bounds of one call, from the settings. */
export interface TaskLimits {
  /** Sentences or pictures. */
  readonly maxItems: number;
  readonly maxTextCharacters: number;
  readonly maxImagePixels: number;
}

/** A version that is loaded, as far as running it needs. */
export interface RunnableVersion {
  readonly versionId: string;
  readonly modelPackage: ModelPackage;
  readonly signature: Signature;
}

/** One call of a version. */
export interface TaskCall {
  readonly version: RunnableVersion;
  readonly runtime: Pick<ModelRuntime, 'run'>;
  readonly limits: TaskLimits;
  /** Aborted with the reason when the caller has gone or the deadline has passed. */
  readonly signal: AbortSignal;
  /** `parameters` of the request. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface TaskAnswer {
  readonly outputs: readonly ResponseTensor[];
  readonly usage: InferenceUsage;
}

/** Datatypes of the Open Inference Protocol v2 that Weir carries. `BYTES` is text (or base64 where the tensor says so). */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;
export type Datatype = (typeof DATATYPES)[number];

export function isDatatype(value: unknown): value is Datatype {
  return typeof value === 'string' && (DATATYPES as readonly string[]).includes(value);
}

/** Parameters of a request, a response or a tensor; what is not known is ignored. */
export type Parameters = Readonly<Record<string, unknown>>;

/**
 * A tensor as it travels: `data` in JSON in row-major order, flat or nested as `shape` says; or the bytes of the binary
 * extension, little-endian, where each element of `BYTES` stands behind its length (4 bytes).
 */
export interface EncodedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: Datatype;
  readonly parameters?: Parameters;
  readonly data: readonly unknown[] | Uint8Array;
}

/** An input as it travels. */
export type RequestTensor = EncodedTensor;

/** An output that the caller asks for; without any, all are answered. `parameters.binary_data`: as bytes, not in JSON. */
export interface RequestedOutput {
  readonly name: string;
  readonly parameters?: Parameters;
}

export interface InferenceRequest {
  /** Echoed in the answer. */
  readonly id?: string;
  /** `binary_data_output`: all outputs as bytes, where an output does not say it itself. */
  readonly parameters?: Parameters;
  readonly inputs: readonly RequestTensor[];
  readonly outputs?: readonly RequestedOutput[];
}

/** An output as it travels in JSON: `data` flat, in row-major order. */
export interface ResponseTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: Datatype;
  readonly parameters?: Parameters;
  readonly data: readonly unknown[];
}

export interface InferenceResponse {
  readonly model_name: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly parameters?: Parameters & { readonly usage?: InferenceUsage };
  readonly outputs: readonly ResponseTensor[];
}

/** What a worker counted, in `parameters.usage` of its answer. */
export interface InferenceUsage {
  /** Items in the call: sentences, pictures, rows. */
  readonly inputs: number;
  /** Tokens that the model read; 0 where it reads none. */
  readonly 'input-tokens': number;
  /** Seconds of audio, to the millisecond; absent where the model takes none. */
  readonly 'audio-seconds'?: number;
}

/** A tensor in a model's signature; -1 in `shape` is a size that the caller chooses. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions?: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** What Weir adds: the task, and the processed input that may be sent instead of the raw ones. */
  readonly parameters?: Parameters;
}

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** Body of an answer that is an error. Weir adds its code in the header `ERROR_CODE_HEADER`. */
export interface InferenceError {
  readonly error: string;
}

/** A body as it travels over HTTP, and the headers that say how it is to be read. */
export interface EncodedMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Headers of a message, with lower-case names, as Node.js gives them. */
export type MessageHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Bytes of the JSON at the beginning of a body; the tensors of the binary extension follow it. */
export const HEADER_LENGTH_HEADER = 'inference-header-content-length';

/** Carries the code of Weir's error table beside an Open Inference Protocol error. */
export const ERROR_CODE_HEADER = 'x-weir-error-code';

/** Milliseconds that the caller still waits for the answer; a worker drops what it cannot start before. */
export const TIMEOUT_HEADER = 'x-weir-timeout-ms';

/** In what order a worker takes calls that wait: all `interactive` ones go before any `batch` one. */
export const PRIORITIES = ['interactive', 'batch'] as const;
export type Priority = (typeof PRIORITIES)[number];
/** Request header: one of `PRIORITIES`; `interactive` when it is not there. */
export const PRIORITY_HEADER = 'x-weir-priority';

/** Request header: the model's public name, which the answer then bears instead of the worker's own id. */
export const MODEL_NAME_HEADER = 'x-weir-model-name';
/** Request header: the gateway's own id of a call, by which it can cancel the call and still learn what had begun to run. */
export const CALL_ID_HEADER = 'x-weir-call-id';
/** Path that cancels a call, with POST: its answer is `request.cancelled`. `request.not_found`: the call is not in progress. */
export function cancelPath(callId: string): string {
  return `/v2/calls/${encodeURIComponent(callId)}/cancel`;
}
/**
 * Answer header: what the worker counted, as `inputs=1,input-tokens=12,audio-seconds=0.5`, so that the gateway need not read the body. On
 * `request.timeout` and `request.cancelled`: what had begun to run by then; absent when nothing had.
 */
export const USAGE_HEADER = 'x-weir-usage';
/** Answer header of an error: the field of the request that is wrong. */
export const ERROR_FIELD_HEADER = 'x-weir-error-field';

/** Sum of the usage of several parts of a call, by meter. */
export function sumOfUsage(parts: readonly InferenceUsage[]): InferenceUsage {
  const sum: InferenceUsage & Record<string, number> = { inputs: 0, 'input-tokens': 0 };
  for (const part of parts) for (const [meter, count] of Object.entries(part)) sum[meter] = (sum[meter] ?? 0) + count;
  return sum;
}

/** The counts as `USAGE_HEADER` carries them. */
export function usageHeader(usage: InferenceUsage): string {
  const seconds = usage['audio-seconds'];
  const counts = `inputs=${usage.inputs},input-tokens=${usage['input-tokens']}`;
  return seconds === undefined ? counts : `${counts},audio-seconds=${seconds}`;
}

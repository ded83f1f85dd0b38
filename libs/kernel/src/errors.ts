/**
 * What went wrong, in the closed set of kinds that every surface knows how to say
 * (HTTP status, GraphQL, OpenAI, Open Inference Protocol, gRPC). See `ERROR_KINDS`.
 */
export type ErrorKind =
  | 'invalid_input'
  | 'unauthenticated'
  | 'payment_required'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
  | 'unsupported'
  | 'rate_limited'
  | 'cancelled'
  | 'internal'
  | 'unavailable'
  | 'timeout';

/** How a kind is said on each surface. */
export interface ErrorKindMapping {
  /** Status of an HTTP answer. */
  readonly httpStatus: number;
  /** `error.type` of an OpenAI-compatible answer. */
  readonly openaiType: string;
  /** Canonical gRPC status name. */
  readonly grpcStatus: string;
  /** May the same request succeed later without a change? */
  readonly isRetryable: boolean;
}

export const ERROR_KINDS: Readonly<Record<ErrorKind, ErrorKindMapping>> = {
  invalid_input: { httpStatus: 400, openaiType: 'invalid_request_error', grpcStatus: 'INVALID_ARGUMENT', isRetryable: false },
  unauthenticated: { httpStatus: 401, openaiType: 'authentication_error', grpcStatus: 'UNAUTHENTICATED', isRetryable: false },
  payment_required: { httpStatus: 402, openaiType: 'insufficient_quota', grpcStatus: 'RESOURCE_EXHAUSTED', isRetryable: false },
  forbidden: { httpStatus: 403, openaiType: 'permission_error', grpcStatus: 'PERMISSION_DENIED', isRetryable: false },
  not_found: { httpStatus: 404, openaiType: 'not_found_error', grpcStatus: 'NOT_FOUND', isRetryable: false },
  conflict: { httpStatus: 409, openaiType: 'invalid_request_error', grpcStatus: 'ALREADY_EXISTS', isRetryable: false },
  too_large: { httpStatus: 413, openaiType: 'invalid_request_error', grpcStatus: 'INVALID_ARGUMENT', isRetryable: false },
  unsupported: { httpStatus: 415, openaiType: 'invalid_request_error', grpcStatus: 'UNIMPLEMENTED', isRetryable: false },
  rate_limited: { httpStatus: 429, openaiType: 'rate_limit_error', grpcStatus: 'RESOURCE_EXHAUSTED', isRetryable: true },
  cancelled: { httpStatus: 499, openaiType: 'api_error', grpcStatus: 'CANCELLED', isRetryable: false },
  internal: { httpStatus: 500, openaiType: 'api_error', grpcStatus: 'INTERNAL', isRetryable: false },
  unavailable: { httpStatus: 503, openaiType: 'api_error', grpcStatus: 'UNAVAILABLE', isRetryable: true },
  timeout: { httpStatus: 504, openaiType: 'api_error', grpcStatus: 'DEADLINE_EXCEEDED', isRetryable: true },
};

interface ErrorEntry {
  readonly kind: ErrorKind;
  /** What the caller reads when the place that throws says nothing more exact. */
  readonly message: string;
  /** What the caller can do about it; printed in docs/errors.md. */
  readonly remedy: string;
}

/**
 * The one table of error codes. A code is stable: clients may branch on it.
 * `docs/errors.md` is generated from it and a test keeps the two equal.
 */
export const ERRORS = {
  'request.invalid': { kind: 'invalid_input', message: 'The request is not valid.', remedy: 'Correct the field that the message names.' },
  'request.malformed': { kind: 'invalid_input', message: 'The body is not valid JSON.', remedy: 'Send a JSON object in UTF-8.' },
  'request.too_large': { kind: 'too_large', message: 'The body is too large.', remedy: 'Send less; the message names the limit in bytes.' },
  'request.unsupported_media_type': {
    kind: 'unsupported',
    message: 'The content type is not supported.',
    remedy: 'Send content-type: application/json.',
  },
  'request.not_found': { kind: 'not_found', message: 'There is nothing at this address.', remedy: 'Check the path and the method.' },
  'request.cancelled': {
    kind: 'cancelled',
    message: 'The caller disconnected before the answer.',
    remedy: 'Send the call again. What had begun to run is billed, on a receipt with the outcome CANCELLED; anything else is not.',
  },
  'request.timeout': {
    kind: 'timeout',
    message: 'The call took longer than its deadline.',
    remedy:
      'Send the call again with a longer deadline. When it had begun to run, what had begun is billed, and the message names the receipt; a call that waited to the end is not billed.',
  },
  'graphql.invalid': {
    kind: 'invalid_input',
    message: 'The GraphQL document is not valid.',
    remedy: 'Check the document against the schema.',
  },
  'graphql.too_complex': {
    kind: 'invalid_input',
    message: 'The GraphQL document is too large, too deep or repeats too much.',
    remedy: 'Ask for less in one document; the message names the limit.',
  },
  'auth.required': {
    kind: 'unauthenticated',
    message: 'No credential was sent.',
    remedy: 'Send Authorization: Bearer with an API key or a session token.',
  },
  'auth.invalid': {
    kind: 'unauthenticated',
    message: 'The credential is not valid.',
    remedy: 'Check that the key is whole, is not revoked and belongs to this address.',
  },
  'auth.expired': { kind: 'unauthenticated', message: 'The credential has expired.', remedy: 'Sign in again, or create a new key.' },
  'auth.sign_in_failed': {
    kind: 'unauthenticated',
    message: 'The e-mail address or the password is wrong.',
    remedy: 'Check both; after many failures wait for the time that Retry-After gives.',
  },
  'auth.too_many_attempts': {
    kind: 'rate_limited',
    message: 'Too many failed sign-ins.',
    remedy: 'Wait for the time that Retry-After gives.',
  },
  'auth.internal_token': {
    kind: 'unauthenticated',
    message: 'This port accepts only calls from other Weir services.',
    remedy: 'Call the gateway.',
  },
  'access.forbidden': {
    kind: 'forbidden',
    message: 'The credential does not allow this.',
    remedy: 'Use a credential with the scope that the message names.',
  },
  'access.tenant_suspended': { kind: 'forbidden', message: 'The tenant is suspended.', remedy: 'Ask the operator.' },
  'tenant.not_found': { kind: 'not_found', message: 'There is no such tenant.', remedy: 'Check the id.' },
  'tenant.slug_taken': { kind: 'conflict', message: 'A tenant with this slug exists.', remedy: 'Choose another slug.' },
  'tenant.limit_reached': {
    kind: 'conflict',
    message: 'The tenant has as many of these as it may have.',
    remedy: 'Remove some that are no longer used, or ask the operator; the message names the bound.',
  },
  'person.not_found': { kind: 'not_found', message: 'There is no such person.', remedy: 'Check the id.' },
  'person.email_taken': {
    kind: 'conflict',
    message: 'The tenant has a person with this e-mail address.',
    remedy: 'Use another address, or sign in.',
  },
  'person.last_administrator': {
    kind: 'conflict',
    message: 'Nobody else could administer the tenant.',
    remedy: 'Add another owner first.',
  },
  'api_key.not_found': { kind: 'not_found', message: 'There is no such API key.', remedy: 'Check the id.' },
  'model.not_found': {
    kind: 'not_found',
    message: 'There is no such model, or the credential may not use it.',
    remedy: 'List what may be used with the query models.',
  },
  'model.name_taken': {
    kind: 'conflict',
    message: 'A model with this name exists.',
    remedy: 'Choose another name, or publish a version of it.',
  },
  'model.version_exists': { kind: 'conflict', message: 'This version exists and cannot be changed.', remedy: 'Publish a new version.' },
  'model.not_ready': {
    kind: 'unavailable',
    message: 'The model is not loaded on any worker.',
    remedy: 'Send the call again after the time that Retry-After gives.',
  },
  'model.input_invalid': {
    kind: 'invalid_input',
    message: 'The input does not fit the model.',
    remedy: 'Send what the message names; model(name:) shows the signature.',
  },
  'model.image_invalid': {
    kind: 'invalid_input',
    message: 'The image cannot be read.',
    remedy: 'Send a PNG, JPEG or WebP file in base64.',
  },
  'model.audio_invalid': {
    kind: 'invalid_input',
    message: 'The sound cannot be read.',
    remedy: 'Send a WAV file with PCM of 16, 24 or 32 bits or 32-bit floats in base64; the message says what is wrong with it.',
  },
  'model.input_refused': {
    kind: 'rate_limited',
    message: 'Calls like this one crashed the model and are refused for a time.',
    remedy: 'Correct the input; calls of this size are accepted again after the time that Retry-After gives.',
  },
  'model.quarantined': {
    kind: 'unavailable',
    message: 'The model crashed the process that loaded it several times and is not loaded for a time.',
    remedy: 'Wait for the time that Retry-After gives, or let an operator load the model.',
  },
  'model.failed': {
    kind: 'internal',
    message: 'The model failed on this input.',
    remedy: 'Report the request id to the publisher of the model.',
  },
  'model.package_invalid': {
    kind: 'invalid_input',
    message: 'The model package is not valid.',
    remedy: 'Correct the file that the message names and publish a new version.',
  },
  'sequence.lost': {
    kind: 'conflict',
    message: 'The state of the sequence is gone: the worker that kept it was lost or let it go.',
    remedy: 'Begin the sequence anew, its first call with start.',
  },
  'sequence.busy': {
    kind: 'conflict',
    message: 'Too many calls of the sequence wait for each other.',
    remedy: 'Send the next call of a sequence when the one before it is answered.',
  },
  'idempotency.key_reused': {
    kind: 'conflict',
    message: 'The idempotency key was used for another call.',
    remedy: 'Send another key with another call; a key stands for one call for 24 hours.',
  },
  'idempotency.under_way': {
    kind: 'conflict',
    message: 'A call with this idempotency key is still under way.',
    remedy: 'Send the call again, with the same key, after the time that Retry-After gives.',
  },
  'idempotency.answer_not_stored': {
    kind: 'conflict',
    message: 'The call with this idempotency key was answered and billed once; its answer is not stored.',
    remedy: 'Use the first answer; the message names its receipt. With another key the call runs, and is billed, again.',
  },
  'idempotency.too_many_keys': {
    kind: 'rate_limited',
    message: 'The tenant has as many idempotency keys in use as it may.',
    remedy: 'Send the call without a key, or wait: a key is in use for 24 hours.',
  },
  'quota.exceeded': {
    kind: 'forbidden',
    message: 'A quota of the tenant is used up.',
    remedy: 'Use less of what the message names, or ask the operator to raise the quota; modelQuotas shows what is used and allowed.',
  },
  'artifact.not_found': { kind: 'not_found', message: 'There is no such artifact.', remedy: 'Upload the file first.' },
  'artifact.digest_mismatch': {
    kind: 'invalid_input',
    message: 'The content does not have the digest that was announced.',
    remedy: 'Upload the file again.',
  },
  'worker.overloaded': {
    kind: 'rate_limited',
    message: 'The queue of the model is full.',
    remedy: 'Send the call again after the time that Retry-After gives.',
  },
  'worker.unreachable': { kind: 'unavailable', message: 'No worker answered.', remedy: 'Send the call again.' },
  'limit.requests': {
    kind: 'rate_limited',
    message: 'The key, or its tenant, has used its requests for this minute.',
    remedy: "Wait for the time that Retry-After gives. A key's limit is its owner's to raise, up to the tenant's, which the operator sets.",
  },
  'limit.in_flight': {
    kind: 'rate_limited',
    message: 'The key, or its tenant, has too many requests in flight.',
    remedy: 'Wait for answers before sending more; the message names the owner of the limit.',
  },
  'limit.spend': {
    kind: 'payment_required',
    message: 'The spend that is allowed is used up.',
    remedy: 'Raise the limit, or wait for the next period.',
  },
  'subscription.required': {
    kind: 'payment_required',
    message: 'The tenant has no subscription that covers this model.',
    remedy: 'Subscribe to a plan that includes it.',
  },
  'subscription.exists': { kind: 'conflict', message: 'The tenant has a subscription.', remedy: 'End it first, or change its plan.' },
  'subscription.not_found': { kind: 'not_found', message: 'The tenant has no subscription.', remedy: 'Check the tenant.' },
  'plan.not_found': { kind: 'not_found', message: 'There is no such plan.', remedy: 'List the plans with the query plans.' },
  'plan.code_taken': { kind: 'conflict', message: 'A plan with this code exists.', remedy: 'Choose another code.' },
  'invoice.not_found': { kind: 'not_found', message: 'There is no such invoice.', remedy: 'Check the id.' },
  'receipt.not_found': {
    kind: 'not_found',
    message: 'There is no such receipt.',
    remedy: 'Check the id; a receipt appears some moments after its call.',
  },
  'price.missing': { kind: 'unavailable', message: 'The model has no price in the plan.', remedy: 'Ask the operator to set one.' },
  'usage.unrecordable': {
    kind: 'unavailable',
    message: 'Usage cannot be recorded now, so nothing is served.',
    remedy: 'Send the call again; the operator must free the usage spool.',
  },
  'service.unavailable': { kind: 'unavailable', message: 'A service that this needs does not answer.', remedy: 'Send the call again.' },
  'service.stopping': { kind: 'unavailable', message: 'This process is shutting down.', remedy: 'Send the call again.' },
  'service.starting': { kind: 'unavailable', message: 'This process is not ready yet.', remedy: 'Send the call again.' },
  'internal.error': { kind: 'internal', message: 'Something went wrong here.', remedy: 'Report the request id to the operator.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export interface AppErrorOptions {
  /** Replaces the table's message. Must not hold a secret, a prompt or personal data. */
  readonly message?: string;
  /** Path of the input field that is wrong, such as `input.tensors[0].shape`. */
  readonly field?: string;
  /** After how long a retry makes sense, in milliseconds. */
  readonly retryAfterMs?: number;
  /** For the log only; never shown to the caller. */
  readonly cause?: unknown;
}

/** The one error class: a code of the table, and what the caller may know. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.message ?? ERRORS[code].message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.kind = ERRORS[code].kind;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Is `code` one of the table? Used where an error arrives from another process. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}

/** Turns whatever was thrown into an `AppError`; what is unknown becomes `internal.error` with the original as cause. */
export function toAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError('internal.error', { cause: thrown });
}

import { AppError, ERROR_KINDS, toAppError, type ErrorCode } from '@weir/kernel';

// How errors of the table are answered over HTTP. Nothing here needs Nest: processes without it answer the same.

/** Body of a REST answer that is an error. */
export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly field?: string; readonly requestId?: string };
}

export function errorBody(error: AppError, requestId?: string): ErrorBody {
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(requestId === undefined ? {} : { requestId }),
    },
  };
}

export function httpStatusOf(error: AppError): number {
  return ERROR_KINDS[error.kind].httpStatus;
}

/** Headers that go with an error: `Retry-After` in whole seconds where a wait makes sense, `WWW-Authenticate` with 401. */
export function errorHeaders(error: AppError): Record<string, string> {
  return {
    ...(error.retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) }),
    ...(error.kind === 'unauthenticated' ? { 'www-authenticate': 'Bearer realm="weir"' } : {}),
  };
}

const CODE_OF_FRAMEWORK_ERROR: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'request.too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'request.unsupported_media_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request.malformed',
  FST_ERR_CTP_INVALID_JSON_BODY: 'request.malformed',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request.malformed',
  FST_ERR_BAD_URL: 'request.not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'request.not_found',
  FST_ERR_NOT_FOUND: 'request.not_found',
};

/** Says in the table's terms what Fastify threw; everything else is `internal.error`. */
export function fromFastifyError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isClientDisconnect(thrown)) return new AppError('request.cancelled', { cause: thrown });
  if (thrown instanceof SyntaxError && 'statusCode' in thrown) return new AppError('request.malformed', { cause: thrown });
  const code =
    typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string'
      ? CODE_OF_FRAMEWORK_ERROR[thrown.code]
      : undefined;
  return code === undefined ? toAppError(thrown) : new AppError(code, { cause: thrown });
}

/** Node.js ends the stream of a body with this error when the client disconnects before it has sent all of it. */
function isClientDisconnect(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === 'aborted' && 'code' in thrown && thrown.code === 'ECONNRESET';
}

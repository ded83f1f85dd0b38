import { HttpException } from '@nestjs/common';
import { AppError, ERROR_KINDS, toAppError, type ErrorCode } from '@weir/kernel';

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

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'request.malformed',
  401: 'auth.required',
  403: 'access.forbidden',
  404: 'request.not_found',
  405: 'request.not_found',
  408: 'request.timeout',
  413: 'request.too_large',
  415: 'request.unsupported_media_type',
};

/** Says in the table's terms what Fastify or Nest threw; everything else is `internal.error`. */
export function fromFrameworkError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof SyntaxError && 'statusCode' in thrown) return new AppError('request.malformed', { cause: thrown });
  const code = codeOf(thrown);
  return code === undefined ? toAppError(thrown) : new AppError(code, { cause: thrown });
}

function codeOf(thrown: unknown): ErrorCode | undefined {
  if (thrown instanceof HttpException) return CODE_OF_STATUS[thrown.getStatus()];
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  if ('code' in thrown && typeof thrown.code === 'string') return CODE_OF_FRAMEWORK_ERROR[thrown.code];
  return undefined;
}

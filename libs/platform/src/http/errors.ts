import { HttpException } from '@nestjs/common';
import { AppError, type ErrorCode } from '@weir/kernel';
import { fromFastifyError } from './error-answers.ts';

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
  const code = thrown instanceof HttpException ? CODE_OF_STATUS[thrown.getStatus()] : undefined;
  return code === undefined ? fromFastifyError(thrown) : new AppError(code, { cause: thrown });
}

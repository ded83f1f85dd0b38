import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { ERROR_KINDS, type AppError, type ErrorKind } from '@weir/kernel';
import { ERROR_CODE_HEADER, ERROR_FIELD_HEADER } from '@weir/open-inference';
import { errorHeaders } from '@weir/platform/http';
import { LimitError, rateLimitHeaders } from '../admission.ts';

/** The number of a kind's canonical status. */
export function grpcStatusOf(kind: ErrorKind): number {
  return status[ERROR_KINDS[kind].grpcStatus as keyof typeof status];
}

/** An error as gRPC says it: status and message; in the trailers the code of the table, the field, and when to come again. */
export function serviceErrorOf(error: AppError): Pick<ServiceError, 'code' | 'details' | 'metadata'> {
  return {
    code: grpcStatusOf(error.kind),
    // Half a character, of a caller's own text say, cannot be sent.
    details: error.message.toWellFormed(),
    metadata: metadataOf({
      ...errorHeaders(error),
      ...(error instanceof LimitError ? rateLimitHeaders(error.rateLimit) : {}),
      [ERROR_CODE_HEADER]: error.code,
      ...(error.field === undefined || error.field === '' ? {} : { [ERROR_FIELD_HEADER]: encodeURIComponent(error.field) }),
    }),
  };
}

export function metadataOf(values: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

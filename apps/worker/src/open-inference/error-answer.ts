import { ERROR_CODE_HEADER, ERROR_FIELD_HEADER, type InferenceError } from '@weir/open-inference';
import { errorHeaders, fromFastifyError, httpStatusOf, reportError } from '@weir/platform/fastify';
import type { Logger } from '@weir/platform/telemetry';
import type { FastifyReply } from 'fastify';

/** Every error in the protocol's shape: `{ "error": … }`, the code and the field in headers. */
export function answerError(reply: FastifyReply, thrown: unknown, logger: Logger): void {
  const error = fromFastifyError(thrown);
  reportError(error, '', logger);
  if (reply.sent || reply.raw.destroyed) return;
  const body: InferenceError = { error: error.message };
  if (error.field !== undefined && error.field !== '') void reply.header(ERROR_FIELD_HEADER, encodeURIComponent(error.field));
  void reply
    .status(httpStatusOf(error))
    .headers({ ...errorHeaders(error), [ERROR_CODE_HEADER]: error.code, 'content-type': 'application/json; charset=utf-8' })
    .send(JSON.stringify(body));
}

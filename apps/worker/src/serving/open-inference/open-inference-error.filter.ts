import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { ERROR_CODE_HEADER, ERROR_FIELD_HEADER, type InferenceError } from '@weir/open-inference';
import { errorHeaders, fromFrameworkError, httpStatusOf, requestContext } from '@weir/platform/http';
import type { Logger } from '@weir/platform/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Answers every error in the protocol's shape: `{ "error": … }`, the code in a header. The worker has no other surface. */
@Catch()
export class OpenInferenceErrorFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    const error = fromFrameworkError(thrown);
    if (error.kind === 'internal')
      this.#logger.error(
        { err: error.cause ?? error, requestId: requestContext(http.getRequest<FastifyRequest>()).requestId },
        'request failed',
      );
    if (reply.sent) return;
    const body: InferenceError = { error: error.message };
    if (error.field !== undefined && error.field !== '') void reply.header(ERROR_FIELD_HEADER, encodeURIComponent(error.field));
    void reply.status(httpStatusOf(error)).headers(errorHeaders(error)).header(ERROR_CODE_HEADER, error.code).send(body);
  }
}

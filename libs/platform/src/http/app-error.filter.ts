import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../telemetry/index.ts';
import { errorBody, errorHeaders, httpStatusOf } from './error-answers.ts';
import { fromFrameworkError } from './errors.ts';
import { reportError } from './report-error.ts';
import { requestContext } from './request-context.ts';

/** Answers every error of an HTTP handler from the error table. Resolvers' errors are answered by the GraphQL driver. */
@Catch()
export class AppErrorFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    if (host.getType<'http' | 'graphql'>() !== 'http') throw thrown;
    const http = host.switchToHttp();
    sendError(http.getResponse<FastifyReply>(), thrown, requestContext(http.getRequest<FastifyRequest>()).requestId, this.#logger);
  }
}

/** Reports an error and sends it in the REST shape; an unforeseen one is described to the caller by its request id only. */
export function sendError(reply: FastifyReply, thrown: unknown, requestId: string, logger: Logger): void {
  const error = fromFrameworkError(thrown);
  reportError(error, requestId, logger);
  if (reply.sent) return;
  void reply
    .status(httpStatusOf(error))
    .headers(errorHeaders(error))
    .type('application/json; charset=utf-8')
    .send(errorBody(error, requestId));
}

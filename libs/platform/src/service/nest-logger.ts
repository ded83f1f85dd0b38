import type { LoggerService } from '@nestjs/common';
import type { Logger } from '../telemetry/index.ts';

/** Nest's own messages in the platform's log: its boot chatter at debug level, its warnings and errors as they are. */
export class NestLogger implements LoggerService {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log(message: unknown): void {
    this.#logger.debug(String(message));
  }

  debug(message: unknown): void {
    this.#logger.debug(String(message));
  }

  verbose(message: unknown): void {
    this.#logger.trace(String(message));
  }

  warn(message: unknown): void {
    this.#logger.warn(String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.#logger.error({ detail: rest.filter((part) => typeof part === 'string') }, String(message));
  }

  fatal(message: unknown): void {
    this.#logger.fatal(String(message));
  }
}

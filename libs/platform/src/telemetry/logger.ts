import { pino, type DestinationStream, type Logger } from 'pino';
import { currentRequestId } from './request-scope.ts';

export type { Logger } from 'pino';

/** Keys whose values never reach a log line, wherever they stand in what is logged. */
const SECRET_KEYS = ['authorization', 'cookie', 'set-cookie', 'password', 'secret', 'token', 'apiKey', 'x-weir-internal-token'];

export interface LoggerOptions {
  readonly service: string;
  readonly instanceId: string;
  readonly level: string;
  readonly destination?: DestinationStream;
}

/**
 * Structured logs: one JSON object a line on standard output, with service, instance and request id.
 * Bodies, prompts and personal data are not logged at all; what looks like a secret is removed as a second guard.
 */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level,
    base: { service: options.service, instanceId: options.instanceId },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`]), censor: '[removed]' },
    mixin: () => {
      const requestId = currentRequestId();
      return requestId === undefined ? {} : { requestId };
    },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino';
import { currentRequestId } from './request-scope.ts';

export type { Logger } from 'pino';

/** Keys whose values never reach a log line, wherever they stand in what is logged. */
const SECRET_KEYS = ['authorization', 'cookie', 'set-cookie', 'password', 'secret', 'token', 'apiKey', 'x-weir-internal-token'];

/**
 * What is logged of an error. Everything else that drivers attach stays out: PostgreSQL's `detail` and `where`, and what Prisma
 * calls `meta`, repeat whole rows, with the addresses and digests in them.
 */
const ERROR_KEYS = ['type', 'message', 'stack', 'code', 'path'] as const;

function withoutRows(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const serialized = stdSerializers.err(error);
  const kept: Record<string, unknown> = {};
  for (const key of ERROR_KEYS) if (serialized[key] !== undefined) kept[key] = serialized[key];
  if (error instanceof AggregateError) kept['errors'] = error.errors.map(withoutRows);
  return kept;
}

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
    serializers: { err: withoutRows },
    redact: { paths: SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`]), censor: '[removed]' },
    mixin: () => {
      const requestId = currentRequestId();
      return requestId === undefined ? {} : { requestId };
    },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

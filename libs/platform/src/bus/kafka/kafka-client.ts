import { Kafka, logLevel, type logCreator, type RetryOptions, type SASLOptions } from 'kafkajs';
import type { Logger } from 'pino';
import type { KafkaBusConfig } from './kafka-config.ts';

/** A broker that does not answer within this is tried again, or another is. */
const REQUEST_TIMEOUT_MS = 8_000;
const CONNECTION_TIMEOUT_MS = 3_000;

/**
 * For requests that we repeat ourselves (sends, administration): the client gives up soon, so that nothing that
 * our caller has given up comes to life much later.
 */
export const SHORT_RETRY: RetryOptions = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 };
/** For consumers: the settings with which no fault of a broker lost anything in our trials. */
export const LONG_RETRY: RetryOptions = { initialRetryTime: 200, maxRetryTime: 2_000, retries: 60 };

/** A Kafka client of these settings, whose words go to our log. */
export function kafkaClient(
  config: KafkaBusConfig,
  options: { readonly clientId: string; readonly logger: Logger; readonly retry: RetryOptions },
): Kafka {
  return new Kafka({
    clientId: options.clientId,
    brokers: [...config.brokers],
    ssl: config.ssl ?? false,
    // The client's type ties each mechanism to its own credentials; ours all have the same.
    ...(config.sasl === undefined ? {} : { sasl: config.sasl as SASLOptions }),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: options.retry,
    logLevel: logLevel.INFO,
    logCreator: toLogger(options.logger),
  });
}

/** What the client takes for errors passes in a restart of a broker, and is tried again: a warning. Its chatter is for debugging. */
function toLogger(logger: Logger): logCreator {
  return () => (entry) => {
    const { message, error } = entry.log;
    const text = typeof error === 'string' ? `${message}: ${error}` : message;
    if (entry.level === logLevel.ERROR || entry.level === logLevel.WARN) logger.warn({ kafka: entry.namespace }, text);
    else logger.debug({ kafka: entry.namespace }, text);
  };
}

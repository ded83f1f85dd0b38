import type { Consumer, ConsumerConfig, ConsumerRunConfig, Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';

/** Bounds `disconnect`, which waits for the fetch under way. */
const MAX_WAIT_MS = 500;
/** Most bytes of one partition in one fetch; the broker sends a larger record alone. */
const PARTITION_FETCH_BYTES = 2 * 1_048_576;
/** Most bytes of one fetch: what a member holds at once. */
const FETCH_BYTES = 8 * 1_048_576;

export interface ConsumerLoopOptions {
  readonly kafka: Kafka;
  readonly logger: Logger;
  readonly topics: readonly string[];
  readonly consumer: Pick<ConsumerConfig, 'groupId' | 'sessionTimeout' | 'heartbeatInterval'>;
  readonly run: ConsumerRunConfig;
  /** Called with each new consumer before it starts. */
  onConsumer(consumer: Consumer): void;
  /** Called when it has started. */
  onRunning?(consumer: Consumer): void;
}

/**
 * Keeps a consumer at work. The client's consumer ends for good on some errors, silently, while the process lives:
 * its restarts are switched off, and a new one takes its place after a back-off, until `close`.
 */
export class ConsumerLoop {
  private readonly options: ConsumerLoopOptions;
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;

  constructor(options: ConsumerLoopOptions) {
    this.options = options;
    this.running = this.run();
  }

  /** Finishes the batches in hand, leaves the group. */
  close(): Promise<void> {
    this.closing.abort();
    return this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    while (!signal.aborted) {
      const consumer = this.create();
      const ended = new Promise<unknown>((resolve) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error));
        consumer.on(consumer.events.GROUP_JOIN, () => backOff.reset());
        signal.addEventListener('abort', () => resolve(null), { once: true });
      });
      try {
        await consumer.connect();
        await consumer.subscribe({ topics: [...this.options.topics], fromBeginning: true });
        await consumer.run(this.options.run);
        this.options.onRunning?.(consumer);
        const error = await ended;
        if (error !== null) this.options.logger.warn({ err: error }, 'a consumer ended; a new one takes its place');
      } catch (error) {
        if (!signal.aborted) this.options.logger.warn({ err: error }, 'a consumer could not start; trying again');
      }
      await this.disconnect(consumer);
      if (!signal.aborted) await pause(backOff.nextMs(), signal);
    }
  }

  private create(): Consumer {
    const consumer = this.options.kafka.consumer({
      ...this.options.consumer,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: MAX_WAIT_MS,
      maxBytesPerPartition: PARTITION_FETCH_BYTES,
      maxBytes: FETCH_BYTES,
      retry: { restartOnFailure: async () => false },
    });
    this.options.onConsumer(consumer);
    return consumer;
  }

  private async disconnect(consumer: Consumer): Promise<void> {
    try {
      await consumer.disconnect();
    } catch (error) {
      this.options.logger.debug({ err: error }, 'a consumer broke while it was disconnected');
    }
  }
}

import { randomUUID } from 'node:crypto';
import type { TopicDefinition } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import { burialOn } from '../dead-letters.ts';
import type {
  EventBus,
  Follower,
  FollowOptions,
  NewRecord,
  PartitionLag,
  SendOptions,
  SubscribeOptions,
  Subscription,
} from '../event-bus.ts';
import { DEFAULT_SEND_TIMEOUT_MS, DEFAULT_SESSION_TIMEOUT_MS } from '../limits.ts';
import { OpenReaders } from '../open-readers.ts';
import { checkRecord, inAppends } from '../record-limits.ts';
import { withTrace } from '../trace-context.ts';
import { within } from '../within.ts';
import { LogFollower } from './follower.ts';
import { Housekeeping, type HousekeepingOptions } from './housekeeping.ts';
import { Log } from './log.ts';
import { LogWatch } from './log-watch.ts';
import { LogSubscription } from './subscription.ts';

export interface EmbeddedBusConfig extends HousekeepingOptions {
  readonly kind: 'embedded';
  /** PostgreSQL, with the role of a service, or with one that owns the schema `bus` (or may create it) and migrates it. */
  readonly url: string;
  /** Silence after which a member of a group counts as dead; default 10,000. */
  readonly sessionTimeoutMs?: number | undefined;
}

/** The event bus on a log in PostgreSQL: for one machine, without a broker. See docs/decisions/0002. */
export class EmbeddedEventBus implements EventBus {
  private readonly config: EmbeddedBusConfig;
  private readonly clientId: string;
  private readonly logger: Logger;
  private readonly log: Log;
  private readonly watch: LogWatch;
  private readonly housekeeping: Housekeeping;
  private readonly readers = new OpenReaders();
  private closed: Promise<void> | null = null;

  constructor(config: EmbeddedBusConfig, options: { readonly logger: Logger; readonly clientId: string }) {
    this.config = config;
    this.clientId = options.clientId;
    this.logger = options.logger;
    this.log = new Log({ url: config.url, clientId: options.clientId, logger: options.logger });
    this.watch = new LogWatch(this.log, options.logger);
    this.housekeeping = new Housekeeping(this.log, options.logger, config);
    this.housekeeping.start();
  }

  async ensureTopics(topics: readonly TopicDefinition[]): Promise<void> {
    await this.log.createTopics(topics);
  }

  async send(topic: string, records: readonly NewRecord[], options: SendOptions = {}): Promise<void> {
    for (const record of records) checkRecord(record);
    const deadlineMs = performance.now() + (options.timeoutMs ?? DEFAULT_SEND_TIMEOUT_MS);
    for (const append of inAppends(records.map(withTrace))) await this.append(topic, append, deadlineMs);
    if (records.length > 0) this.watch.announceTopic(topic);
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    const subscription = new LogSubscription({
      log: this.log,
      watch: this.watch,
      logger: this.logger,
      memberId: `${this.clientId} ${randomUUID()}`,
      sessionTimeoutMs: this.config.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS,
      subscribe: options,
      bury: burialOn(this, options.group, this.logger),
    });
    return { joined: subscription.joined, close: this.readers.add(subscription) };
  }

  async follow(options: FollowOptions): Promise<Follower> {
    const follower = new LogFollower({ log: this.log, watch: this.watch, logger: this.logger, follow: options });
    return { caughtUp: follower.caughtUp, isLive: () => follower.isLive(), close: this.readers.add(follower) };
  }

  lag(group: string, topics: readonly string[]): Promise<readonly PartitionLag[]> {
    return this.log.lag(group, topics);
  }

  isHealthy(): Promise<boolean> {
    return this.log.isHealthy();
  }

  close(): Promise<void> {
    this.closed ??= this.closeAll();
    return this.closed;
  }

  private async closeAll(): Promise<void> {
    await this.readers.closeAll();
    await this.log.close();
    await Promise.all([this.watch.stopped(), this.housekeeping.stopped()]);
  }

  private async append(topic: string, records: readonly NewRecord[], deadlineMs: number): Promise<void> {
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    for (;;) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new AppError('service.unavailable', { message: 'The event bus does not answer.' });
      try {
        // The log gives such an append up by itself at the same moment.
        await within(leftMs, this.log.append(topic, records, leftMs), noAnswer);
        return;
      } catch (error) {
        if (!isPassing(error)) throw error;
        const waitMs = backOff.nextMs();
        if (performance.now() + waitMs >= deadlineMs || this.log.closed.aborted) {
          throw new AppError('service.unavailable', { message: 'The event bus does not answer.', cause: error });
        }
        await pause(waitMs, this.log.closed);
      }
    }
  }
}

function noAnswer(): never {
  throw new Error('the event log did not answer in time');
}

/**
 * May the same append succeed later? Connections that break and servers that restart pass; SQLSTATE classes of wrong
 * data (22, 23), wrong rights (28) and wrong statements (42) do not.
 */
function isPassing(error: unknown): boolean {
  if (error instanceof AppError) return false;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return !/^(22|23|28|42)[0-9A-Z]{3}$/.test(code);
}

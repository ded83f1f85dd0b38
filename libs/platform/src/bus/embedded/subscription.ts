import type { Logger } from 'pino';
import { pause } from '../back-off.ts';
import { Bell } from '../bell.ts';
import type { PoisonRecordError, SubscribeOptions, Subscription } from '../event-bus.ts';
import { CLOSE_TIMEOUT_MS, DEFAULT_MAX_BATCH, MAX_CONCURRENT_BATCHES } from '../limits.ts';
import { Slots } from '../slots.ts';
import { within } from '../within.ts';
import { GroupMembership, type OwnedPartition } from './group-membership.ts';
import type { Log } from './log.ts';
import type { LogWatch } from './log-watch.ts';
import { PartitionReader } from './partition-reader.ts';

/** Rounds in a session: two may fail before a member counts as dead. */
const ROUNDS_PER_SESSION = 3;

export interface LogSubscriptionOptions {
  readonly log: Log;
  readonly watch: LogWatch;
  readonly logger: Logger;
  readonly memberId: string;
  readonly sessionTimeoutMs: number;
  readonly subscribe: SubscribeOptions;
  readonly bury: (poison: PoisonRecordError) => Promise<void>;
}

/** A member of a group at work: takes part in its rounds, and keeps one reader for each partition that it owns. */
export class LogSubscription implements Subscription {
  readonly joined: Promise<void>;
  private readonly options: LogSubscriptionOptions;
  private readonly membership: GroupMembership;
  private readonly slots = new Slots(MAX_CONCURRENT_BATCHES);
  private readonly readers = new Map<number, PartitionReader>();
  private readonly bell = new Bell();
  private readonly closing = new AbortController();
  private readonly rounds: Promise<void>;
  private readonly unwatch: readonly (() => void)[];
  private resolveJoined: () => void = () => undefined;
  private closed: Promise<void> | null = null;
  private lastRoundMs = performance.now();

  constructor(options: LogSubscriptionOptions) {
    this.options = options;
    const { log, watch, memberId, sessionTimeoutMs, subscribe } = options;
    const { group, topics } = subscribe;
    this.membership = new GroupMembership({ log, group, memberId, topics, sessionTimeoutMs });
    this.joined = new Promise((resolve) => {
      this.resolveJoined = resolve;
    });
    this.unwatch = [watch.watchGroup(group, () => this.bell.ring()), watch.watch({ topics, onEnds: () => this.wakeReaders() })];
    this.rounds = this.takePart();
  }

  close(): Promise<void> {
    this.closed ??= this.leave();
    return this.closed;
  }

  private async takePart(): Promise<void> {
    const { signal } = this.closing;
    const { sessionTimeoutMs, logger, subscribe } = this.options;
    const everyMs = sessionTimeoutMs / ROUNDS_PER_SESSION;
    while (!signal.aborted) {
      try {
        await this.round();
      } catch (error) {
        logger.warn({ err: error, group: subscribe.group }, 'the group could not be reached; trying again');
        if (performance.now() - this.lastRoundMs > sessionTimeoutMs) this.loseAll();
        await pause(everyMs / ROUNDS_PER_SESSION, signal);
        continue;
      }
      await this.bell.wait(signal, everyMs);
    }
  }

  private async round(): Promise<void> {
    const startedMs = performance.now();
    const { owned, surplus, hasShare, changed } = await this.membership.round();
    this.lastRoundMs = startedMs;
    if (this.closing.signal.aborted) return;
    const epochs = new Map(owned.map((partition) => [partition.place.id, partition.epoch]));
    for (const reader of this.readers.values()) if (epochs.get(reader.owned.place.id) !== reader.owned.epoch) reader.lose();
    for (const partition of owned) {
      if (surplus.has(partition.place.id)) void this.giveBack(partition);
      else this.read(partition);
    }
    if (changed) this.options.watch.announceGroup(this.options.subscribe.group);
    if (hasShare) this.resolveJoined();
  }

  private read(owned: OwnedPartition): void {
    const current = this.readers.get(owned.place.id);
    if (current !== undefined && current.owned.epoch === owned.epoch && !current.isEnding) return;
    const { log, watch, logger, bury, subscribe } = this.options;
    const reader = new PartitionReader(
      {
        owned,
        log,
        watch,
        logger: logger.child({ group: subscribe.group }),
        bury,
        membership: this.membership,
        slots: this.slots,
        maxBatch: subscribe.maxBatch ?? DEFAULT_MAX_BATCH,
        handle: (batch, context) => subscribe.handle(batch, context),
        heartbeat: () => this.heartbeat(),
      },
      current,
    );
    this.readers.set(owned.place.id, reader);
    void reader.ended.finally(() => {
      if (this.readers.get(owned.place.id) === reader) this.readers.delete(owned.place.id);
    });
  }

  private async giveBack(owned: OwnedPartition): Promise<void> {
    const { log, watch, subscribe } = this.options;
    const reader = this.readers.get(owned.place.id);
    await reader?.stop();
    // Meanwhile the share may have grown again, and a new reader begun.
    if ((this.readers.get(owned.place.id) ?? reader) !== reader) return;
    await log.persist('give a partition back', this.closing.signal, () => this.membership.release(owned));
    watch.announceGroup(subscribe.group);
  }

  /** The process shows that it lives by its rounds; this only makes sure that one is not overdue. */
  private async heartbeat(): Promise<void> {
    if (performance.now() - this.lastRoundMs > this.options.sessionTimeoutMs / ROUNDS_PER_SESSION) this.bell.ring();
  }

  private wakeReaders(): void {
    for (const reader of this.readers.values()) reader.wake();
  }

  private loseAll(): void {
    for (const reader of this.readers.values()) reader.lose();
  }

  private async leave(): Promise<void> {
    const { log, watch, logger, subscribe } = this.options;
    this.closing.abort();
    for (const unwatch of this.unwatch) unwatch();
    await this.rounds;
    const stopped = Promise.all([...this.readers.values()].map((reader) => reader.stop())).then(() => true);
    if (!(await within(CLOSE_TIMEOUT_MS, stopped, () => false)))
      logger.error({ group: subscribe.group }, 'a handler did not end in time; its batch comes again elsewhere');
    this.loseAll();
    this.resolveJoined();
    try {
      await this.membership.leave();
      watch.announceGroup(subscribe.group);
    } catch (error) {
      if (!log.closed.aborted)
        logger.warn({ err: error, group: subscribe.group }, 'the group could not be left; the others wait for the session to end');
    }
  }
}

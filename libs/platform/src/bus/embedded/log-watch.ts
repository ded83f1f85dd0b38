import pg from 'pg';
import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import { Bell } from '../bell.ts';
import type { Log, PartitionEnd } from './log.ts';

/** Without a notification the ends are asked for this often: bounds the delay when one is lost. */
const POLL_MS = 1_000;
/** Least time between two looks at the ends: a busy producer must not become a query for each of its sends. */
const LEAST_GAP_MS = 5;
/** Readers count as live while the last look succeeded within this time: three polls. */
const LIVE_WINDOW_MS = 3 * POLL_MS;
const CHANNEL = 'weir_bus';

/** Someone who wants to know where topics end. */
export interface EndsListener {
  readonly topics: readonly string[];
  /** Ends were looked up after the listener came; ask `endsOf`. */
  onEnds(): void;
}

/**
 * Knows where the watched topics end. One connection that listens wakes it, a poll each second is the fallback,
 * and one query answers for everything that the process reads. Starts with the first listener.
 */
export class LogWatch {
  private readonly log: Log;
  private readonly logger: Logger;
  private readonly listeners = new Set<EndsListener>();
  private readonly groupListeners = new Map<string, Set<() => void>>();
  private readonly ends = new Map<string, PartitionEnd[]>();
  private readonly bell = new Bell();
  private readonly unannounced = new Set<string>();
  private isAnnouncing = false;
  private lastLookMs = -Infinity;
  private running: Promise<unknown> | null = null;

  constructor(log: Log, logger: Logger) {
    this.log = log;
    this.logger = logger;
  }

  /** Tells the listener of new ends until the returned function is called. */
  watch(listener: EndsListener): () => void {
    this.listeners.add(listener);
    this.start();
    this.bell.ring();
    return () => this.listeners.delete(listener);
  }

  /** Calls back when the membership of the group changed, until the returned function is called. */
  watchGroup(group: string, onChange: () => void): () => void {
    const listeners = this.groupListeners.get(group) ?? new Set();
    this.groupListeners.set(group, listeners.add(onChange));
    this.start();
    return () => listeners.delete(onChange);
  }

  /** The ends of a topic as they were last seen; empty when it does not exist (yet). */
  endsOf(topic: string): readonly PartitionEnd[] {
    return this.ends.get(topic) ?? [];
  }

  /** Is the log being read now? */
  isLive(): boolean {
    return performance.now() - this.lastLookMs < LIVE_WINDOW_MS;
  }

  /** Wakes the readers of a topic in every process. */
  announceTopic(topic: string): void {
    this.announce(`topic ${topic}`);
  }

  /** Wakes the members of a group in every process. */
  announceGroup(group: string): void {
    this.announce(`group ${group}`);
  }

  /** Resolves when nothing runs any more; the log's `closed` signal ends it. */
  async stopped(): Promise<void> {
    await this.running;
  }

  private start(): void {
    this.running ??= Promise.all([this.look(), this.listen()]);
  }

  private async look(): Promise<void> {
    const { closed } = this.log;
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    while (!closed.aborted) {
      await this.bell.wait(closed, POLL_MS);
      // Only who was there before the look is told of it: a follower must know all that was sent before it began.
      const listeners = [...this.listeners];
      const topics = [...new Set(listeners.flatMap((listener) => listener.topics))];
      if (topics.length === 0) continue;
      try {
        const ends = Map.groupBy(await this.log.ends(topics), (end) => end.topic);
        for (const [topic, partitions] of ends) this.ends.set(topic, partitions);
        this.lastLookMs = performance.now();
        backOff.reset();
        for (const listener of listeners) listener.onEnds();
        await pause(LEAST_GAP_MS, closed);
      } catch (error) {
        if (closed.aborted) return;
        this.logger.warn({ err: error }, 'the event log cannot be read; trying again');
        await pause(backOff.nextMs(), closed);
        this.bell.ring();
      }
    }
  }

  private async listen(): Promise<void> {
    const { closed } = this.log;
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    while (!closed.aborted) {
      const client = new pg.Client(this.log.connectionOptions);
      const broken = new Promise<void>((resolve) => {
        client.on('error', () => resolve());
        client.on('end', resolve);
        closed.addEventListener('abort', () => resolve(), { once: true });
      });
      client.on('notification', ({ payload = '' }) => this.onNotification(payload));
      try {
        await client.connect();
        await client.query(`listen ${CHANNEL}`);
        backOff.reset();
        // What was announced while nobody listened is not lost: look now.
        this.bell.ring();
        for (const listeners of this.groupListeners.values()) for (const onChange of listeners) onChange();
        await broken;
      } catch (error) {
        this.logger.debug({ err: error }, 'the event log’s announcements cannot be heard; trying again');
      } finally {
        await client
          .end()
          .catch((error: unknown) => this.logger.debug({ err: error }, 'the listening connection broke while it was closed'));
      }
      await pause(backOff.nextMs(), closed);
    }
  }

  private onNotification(payload: string): void {
    const [kind, name = ''] = payload.split(' ');
    if (kind === 'group') for (const onChange of this.groupListeners.get(name) ?? []) onChange();
    else if ([...this.listeners].some((listener) => listener.topics.includes(name))) this.bell.ring();
  }

  /**
   * Announcements are statements of their own, after the commit of what they announce, one at a time: inside the append
   * they would serialise all commits of the server, because PostgreSQL holds one lock from the notification to the end of the commit.
   * When the process dies in between, the readers' poll finds the records.
   */
  private announce(payload: string): void {
    this.unannounced.add(payload);
    if (this.isAnnouncing) return;
    this.isAnnouncing = true;
    void this.announceAll();
  }

  private async announceAll(): Promise<void> {
    while (this.unannounced.size > 0 && !this.log.closed.aborted) {
      const payloads = [...this.unannounced];
      this.unannounced.clear();
      try {
        await this.log.query('bus.notify', `select pg_notify('${CHANNEL}', payload) from unnest($1::text[]) as payload`, [payloads]);
      } catch (error) {
        this.logger.debug({ err: error }, 'an announcement was lost; readers poll');
      }
    }
    this.isAnnouncing = false;
  }
}

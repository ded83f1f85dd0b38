import type { Logger } from 'pino';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import { Bell } from '../bell.ts';
import type { Follower, FollowOptions } from '../event-bus.ts';
import type { Log, PartitionEnd } from './log.ts';
import type { LogWatch } from './log-watch.ts';

/** Records read at once. */
const PAGE_RECORDS = 1_000;

/** Reads whole topics one page at a time, however many partitions they have. */
export class LogFollower implements Follower {
  readonly caughtUp: Promise<void>;
  private readonly log: Log;
  private readonly watch: LogWatch;
  private readonly logger: Logger;
  private readonly options: FollowOptions;
  private readonly bell = new Bell();
  private readonly closing = new AbortController();
  private readonly unwatch: () => void;
  private readonly running: Promise<void>;
  private readonly nextOffsets = new Map<number, number>();
  /** Where each partition ended when it was first seen; null while a topic does not exist. */
  private ends: PartitionEnd[] | null = null;
  private resolveCaughtUp: () => void = () => undefined;
  private isBehind = true;
  /** Ends that another reader of the process saw earlier are too old to tell when this one has caught up. */
  private hasEnds = false;

  constructor(options: { readonly log: Log; readonly watch: LogWatch; readonly logger: Logger; readonly follow: FollowOptions }) {
    this.log = options.log;
    this.watch = options.watch;
    this.logger = options.logger;
    this.options = options.follow;
    this.caughtUp = new Promise((resolve) => {
      this.resolveCaughtUp = resolve;
    });
    this.unwatch = this.watch.watch({ topics: this.options.topics, onEnds: () => this.onEnds() });
    this.running = this.run();
  }

  isLive(): boolean {
    return !this.closing.signal.aborted && this.watch.isLive();
  }

  async close(): Promise<void> {
    this.unwatch();
    this.closing.abort();
    await this.running;
  }

  private onEnds(): void {
    this.hasEnds = true;
    this.bell.ring();
  }

  private async run(): Promise<void> {
    const signal = AbortSignal.any([this.closing.signal, this.log.closed]);
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    while (!signal.aborted) {
      try {
        const hasRead = await this.readOnce(signal);
        backOff.reset();
        this.noteProgress();
        if (!hasRead) await this.bell.wait(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.logger.warn({ err: error }, 'a followed topic cannot be read; trying again');
        await pause(backOff.nextMs(), signal);
      }
    }
  }

  /** Reads one page of each partition that has more; false when none has. */
  private async readOnce(signal: AbortSignal): Promise<boolean> {
    let hasRead = false;
    for (const end of this.options.topics.flatMap((topic) => this.watch.endsOf(topic))) {
      const nextOffset = this.nextOffsets.get(end.id) ?? 0;
      if (nextOffset >= end.endOffset || signal.aborted) continue;
      const records = await this.log.read(end, nextOffset, end.endOffset, PAGE_RECORDS);
      for (const record of records) this.apply(record);
      // No record below the end: what was there has been compacted away.
      this.nextOffsets.set(end.id, (records.at(-1)?.offset ?? end.endOffset - 1) + 1);
      hasRead = true;
    }
    return hasRead;
  }

  private apply(record: Parameters<FollowOptions['apply']>[0]): void {
    try {
      this.options.apply(record);
    } catch (error) {
      const { topic, partition, offset } = record;
      this.logger.error({ err: error, topic, partition, offset }, 'a follower failed on a record and goes on behind it');
    }
  }

  private noteProgress(): void {
    if (!this.isBehind || !this.hasEnds) return;
    if (this.ends === null) {
      const perTopic = this.options.topics.map((topic) => this.watch.endsOf(topic));
      if (perTopic.some((ends) => ends.length === 0)) return;
      this.ends = perTopic.flat();
    }
    if (this.ends.some((end) => (this.nextOffsets.get(end.id) ?? 0) < end.endOffset)) return;
    this.isBehind = false;
    this.resolveCaughtUp();
  }
}

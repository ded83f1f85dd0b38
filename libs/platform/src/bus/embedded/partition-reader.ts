import type { Logger } from 'pino';
import { BackOff, pause, REPLAY_BACK_OFF } from '../back-off.ts';
import { Bell } from '../bell.ts';
import { deliver } from '../delivery.ts';
import type { BusRecord, PoisonRecordError, SubscribeOptions } from '../event-bus.ts';
import type { Slots } from '../slots.ts';
import type { GroupMembership, OwnedPartition } from './group-membership.ts';
import type { Log } from './log.ts';
import type { LogWatch } from './log-watch.ts';

export interface PartitionReaderOptions {
  readonly owned: OwnedPartition;
  readonly membership: GroupMembership;
  readonly log: Log;
  readonly watch: LogWatch;
  readonly slots: Slots;
  readonly maxBatch: number;
  readonly handle: SubscribeOptions['handle'];
  readonly bury: (poison: PoisonRecordError) => Promise<void>;
  readonly heartbeat: () => Promise<void>;
  readonly logger: Logger;
}

/** Reads one owned partition for a group: one batch at a time, fetched only when the one before is committed. */
export class PartitionReader {
  readonly owned: OwnedPartition;
  /** Resolves when it has ended, and no handler of it runs. */
  readonly ended: Promise<void>;
  private readonly options: PartitionReaderOptions;
  private readonly stopping = new AbortController();
  private readonly bell = new Bell();
  private readonly putAside = new Set<number>();
  private nextOffset: number;
  private isLost = false;

  /** @param previous  the reader before it of the same partition, which has to end first: batches of a partition never overlap */
  constructor(options: PartitionReaderOptions, previous?: PartitionReader) {
    this.options = options;
    this.owned = options.owned;
    this.nextOffset = options.owned.committedOffset;
    this.ended = this.runAfter(previous);
  }

  /** Was it told to stop? */
  get isEnding(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Stops after the batch in hand, which is still committed when its handler resolves. */
  stop(): Promise<void> {
    this.stopping.abort();
    return this.ended;
  }

  /** Another member may own the partition now: stops, and commits nothing more. */
  lose(): void {
    this.isLost = true;
    this.stopping.abort();
  }

  /** New ends are known. */
  wake(): void {
    this.bell.ring();
  }

  private async runAfter(previous: PartitionReader | undefined): Promise<void> {
    await previous?.ended;
    // In the same ownership it may have committed since the round that told `owned`.
    if (previous?.owned.epoch === this.owned.epoch) this.nextOffset = Math.max(this.nextOffset, previous.nextOffset);
    await this.run();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const backOff = new BackOff(REPLAY_BACK_OFF);
    while (!signal.aborted) {
      if (this.nextOffset >= this.endOffset()) {
        await this.bell.wait(signal);
        continue;
      }
      try {
        await this.options.slots.run(async () => {
          if (!signal.aborted) await this.handleNext();
        });
        backOff.reset();
      } catch (error) {
        const { topic, partition } = this.owned.place;
        this.options.logger.error({ err: error, topic, partition, offset: this.nextOffset }, 'a batch failed; it comes again');
        await pause(backOff.nextMs(), signal);
      }
    }
  }

  private async handleNext(): Promise<void> {
    const { log, maxBatch, handle, bury, heartbeat } = this.options;
    const { signal } = this.stopping;
    const endOffset = this.endOffset();
    const [first, ...rest] = await log.read(this.owned.place, this.nextOffset, endOffset, maxBatch);
    if (first === undefined) return this.commit(endOffset);
    const records: [BusRecord, ...BusRecord[]] = [first, ...rest];
    const { topic, partition } = this.owned.place;
    await deliver({ batch: { topic, partition, records }, context: { signal, heartbeat }, handle, bury, putAside: this.putAside });
    await this.commit((rest.at(-1) ?? first).offset + 1);
    this.putAside.clear();
  }

  /** Commits however long the log is away, unless the partition is lost meanwhile: handled records should not come again for a restart. */
  private async commit(nextOffset: number): Promise<void> {
    const lost = new AbortController();
    const isOwner = await this.options.log.persist('commit', AbortSignal.any([lost.signal, this.options.log.closed]), async () => {
      if (this.isLost) {
        lost.abort();
        return false;
      }
      return this.options.membership.commit(this.owned, nextOffset);
    });
    if (isOwner === true) {
      this.nextOffset = nextOffset;
      return;
    }
    const { topic, partition } = this.owned.place;
    this.options.logger.warn(
      { topic, partition, offset: this.nextOffset },
      'the partition was taken over by another member; its records come again there',
    );
    this.lose();
  }

  private endOffset(): number {
    const { topic, partition } = this.owned.place;
    return this.options.watch.endsOf(topic).find((end) => end.partition === partition)?.endOffset ?? 0;
  }
}

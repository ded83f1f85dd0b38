import { AppError } from '@weir/kernel';
import type { Producer } from 'kafkajs';
import { BackOff, pause, RECONNECT_BACK_OFF } from '../back-off.ts';
import type { NewRecord } from '../event-bus.ts';
import { inAppends } from '../record-limits.ts';

/** Each replica that is in sync has the records before they are acknowledged. */
const ALL_REPLICAS = -1;
/** Records that may wait for one partition; beyond, sends are refused at once and the caller keeps them. */
const MAX_WAITING_RECORDS = 100_000;

interface Waiting {
  readonly records: readonly NewRecord[];
  isSettled: boolean;
  /** Why the last attempt failed. */
  lastError: unknown;
  /** Tells the sender; without an error, that the records are durable. */
  settle(error?: Error): void;
}

/**
 * Sends the records of one partition, one request at a time. Sends that come meanwhile go together in the next one.
 *
 * One request at a time, and one partition in each, because the client loses acknowledged records otherwise: its retry
 * of a request over several partitions skips brokers, and concurrent idempotent requests overtake each other. It also
 * means that a send that was given up cannot arrive behind a later one: its request ends before the next begins.
 */
export class PartitionSender {
  private readonly producer: () => Promise<Producer>;
  private readonly topic: string;
  private readonly partition: number;
  private readonly closed: AbortSignal;
  private readonly waiting: Waiting[] = [];
  private waitingRecords = 0;
  private isSending = false;

  constructor(options: {
    readonly producer: () => Promise<Producer>;
    readonly topic: string;
    readonly partition: number;
    readonly closed: AbortSignal;
  }) {
    this.producer = options.producer;
    this.topic = options.topic;
    this.partition = options.partition;
    this.closed = options.closed;
  }

  /** @throws service.unavailable  the records were not acknowledged until the deadline; they may still have been written */
  send(records: readonly NewRecord[], deadlineMs: number): Promise<void> {
    if (this.waitingRecords + records.length > MAX_WAITING_RECORDS) return Promise.reject(unavailable(new Error('too many records wait')));
    return new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        records,
        isSettled: false,
        lastError: undefined,
        settle: (error) => {
          if (waiting.isSettled) return;
          waiting.isSettled = true;
          clearTimeout(timer);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const timer = setTimeout(() => waiting.settle(unavailable(waiting.lastError)), Math.max(0, deadlineMs - performance.now()));
      this.waiting.push(waiting);
      this.waitingRecords += records.length;
      if (!this.isSending) void this.sendAll();
    });
  }

  private async sendAll(): Promise<void> {
    this.isSending = true;
    while (this.waiting.length > 0) {
      const group = this.waiting.splice(0);
      this.waitingRecords = 0;
      await this.sendGroup(group);
    }
    this.isSending = false;
  }

  private async sendGroup(group: readonly Waiting[]): Promise<void> {
    const backOff = new BackOff(RECONNECT_BACK_OFF);
    // What nobody waits for any more is not tried again: its sender has been told that it failed.
    for (let open = unsettled(group); open.length > 0; open = unsettled(group)) {
      try {
        const records = open.flatMap((waiting) => waiting.records);
        for (const append of inAppends(records)) await this.produce(append);
        for (const waiting of open) waiting.settle();
      } catch (error) {
        for (const waiting of open) {
          waiting.lastError = error;
          if (this.closed.aborted) waiting.settle(unavailable(error));
        }
        await pause(backOff.nextMs(), this.closed);
      }
    }
  }

  private async produce(records: readonly NewRecord[]): Promise<void> {
    const { topic, partition } = this;
    const producer = await this.producer();
    const answers = await producer.send({
      topic,
      acks: ALL_REPLICAS,
      messages: records.map((record) => ({ key: record.key, value: record.value, headers: { ...record.headers }, partition })),
    });
    if (!answers.some((answer) => answer.topicName === topic && answer.partition === partition && answer.errorCode === 0)) {
      throw new Error('the answer does not cover the partition');
    }
  }
}

function unsettled(group: readonly Waiting[]): Waiting[] {
  return group.filter((waiting) => !waiting.isSettled);
}

function unavailable(cause: unknown): AppError {
  return new AppError('service.unavailable', { message: 'The event bus does not answer.', cause });
}

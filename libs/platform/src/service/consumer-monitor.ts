import { deadTopic } from '../bus/dead-letters.ts';
import type { EventBus, RecordBatch, SubscribeOptions } from '../bus/event-bus.ts';
import { Counter, Gauge, type Logger, type Registry } from '../telemetry/index.ts';
import type { CheckResult } from './readiness.ts';

/** How often lag and dead letters are read from the bus. */
const SAMPLE_INTERVAL_MS = 5_000;

export interface ConsumerMonitorOptions {
  readonly bus: EventBus;
  readonly metrics: Registry;
  readonly logger: Logger;
  /** Age of the oldest unprocessed record from which a group counts as degraded, in milliseconds. */
  readonly degradedAfterMs: number;
}

/** First record of a batch whose handler has not succeeded yet. */
interface Unprocessed {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
}

interface GroupState {
  readonly topics: readonly string[];
  /** By partition: what the group's handler is working on or failing on. */
  readonly unprocessed: Map<string, Unprocessed>;
  lag: number;
}

/**
 * Observes the consumer groups of a process: lag, age of the oldest unprocessed record, failures, dead letters and the last
 * success, as metrics and as a readiness check that degrades and never fails. Every subscription through `bus` is observed.
 *
 * The age is that of the batch in the handler: a group that cannot write shows it at once, and keeps it through redeliveries.
 */
export class ConsumerMonitor {
  /** The bus of the options, with its subscriptions observed. */
  readonly bus: EventBus;
  readonly #options: ConsumerMonitorOptions;
  readonly #groups = new Map<string, GroupState>();
  readonly #lag: Gauge<'group' | 'topic'>;
  readonly #deadLetters: Gauge<'group'>;
  readonly #lastSuccess: Gauge<'group'>;
  readonly #failures: Counter<'group'>;
  #timer: NodeJS.Timeout | undefined;
  #isSampling = false;

  constructor(options: ConsumerMonitorOptions) {
    this.#options = options;
    const { bus, metrics } = options;
    this.bus = {
      ensureTopics: (topics) => bus.ensureTopics(topics),
      send: (topic, records, sendOptions) => bus.send(topic, records, sendOptions),
      subscribe: (subscribeOptions) => bus.subscribe(this.#observed(subscribeOptions)),
      follow: (followOptions) => bus.follow(followOptions),
      lag: (group, topics) => bus.lag(group, topics),
      isHealthy: () => bus.isHealthy(),
      close: () => bus.close(),
    };
    const registers = [metrics];
    this.#lag = new Gauge({
      name: 'weir_consumer_lag_records',
      help: 'Records of a topic that the group has not committed; the same from every member of the group',
      labelNames: ['group', 'topic'],
      registers,
    });
    const ageSeconds = (group: string): number => this.#oldestMs(group) / 1000;
    const groups = this.#groups;
    new Gauge({
      name: 'weir_consumer_oldest_unprocessed_seconds',
      help: 'Age of the oldest record that this member of the group has received and not processed; 0 when there is none',
      labelNames: ['group'],
      registers,
      collect() {
        for (const group of groups.keys()) this.set({ group }, ageSeconds(group));
      },
    });
    this.#deadLetters = new Gauge({
      name: 'weir_dead_letters',
      help: 'Records in the dead-letter topic of the group',
      labelNames: ['group'],
      registers,
    });
    this.#lastSuccess = new Gauge({
      name: 'weir_consumer_last_success_timestamp_seconds',
      help: 'When the group last processed a batch here, in seconds since the epoch; absent before the first',
      labelNames: ['group'],
      registers,
    });
    this.#failures = new Counter({
      name: 'weir_consumer_failures_total',
      help: 'Batches whose handler failed; they are redelivered',
      labelNames: ['group'],
      registers,
    });
  }

  /** Is a group stuck or late? For readiness: degraded, never failed. */
  check(): CheckResult {
    const late = [...this.#groups].filter(([group]) => this.#oldestMs(group) > this.#options.degradedAfterMs);
    const described = (late.length > 0 ? late : [...this.#groups]).map(([group, { lag }]) =>
      late.length > 0
        ? `group ${group}: the oldest unprocessed record is ${Math.round(this.#oldestMs(group) / 1000)} s old, lag ${lag}`
        : `group ${group}: lag ${lag}`,
    );
    return { state: late.length > 0 ? 'degraded' : 'ok', detail: described.join('; ') };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #observed(options: SubscribeOptions): SubscribeOptions {
    const { group, topics } = options;
    const state: GroupState = this.#groups.get(group) ?? { topics, unprocessed: new Map(), lag: 0 };
    this.#groups.set(group, state);
    this.#timer ??= setInterval(() => void this.#sample(), SAMPLE_INTERVAL_MS).unref();
    this.#failures.inc({ group }, 0);
    return {
      ...options,
      handle: async (batch, context) => {
        const place = placeOf(batch);
        const { topic, partition, offset, timestampMs } = batch.records[0];
        state.unprocessed.set(place, { topic, partition, offset, timestampMs });
        try {
          await options.handle(batch, context);
        } catch (error) {
          this.#failures.inc({ group });
          throw error;
        }
        state.unprocessed.delete(place);
        this.#lastSuccess.set({ group }, Date.now() / 1000);
      },
    };
  }

  #oldestMs(group: string): number {
    const unprocessed = [...(this.#groups.get(group)?.unprocessed.values() ?? [])];
    const nowMs = Date.now();
    return unprocessed.reduce((oldest, { timestampMs }) => Math.max(oldest, nowMs - timestampMs), 0);
  }

  async #sample(): Promise<void> {
    // The one before may still wait for a bus that does not answer.
    if (this.#isSampling) return;
    this.#isSampling = true;
    for (const [group, state] of this.#groups) {
      try {
        await this.#sampleGroup(group, state);
      } catch (error) {
        this.#options.logger.debug({ err: error, group }, 'the lag of a consumer group is not known');
      }
    }
    this.#isSampling = false;
  }

  async #sampleGroup(group: string, state: GroupState): Promise<void> {
    const { bus } = this.#options;
    const partitions = await bus.lag(group, state.topics);
    state.lag = 0;
    for (const topic of state.topics) {
      const ofTopic = partitions.filter((one) => one.topic === topic);
      const lag = ofTopic.reduce((sum, { committedOffset, endOffset }) => sum + Math.max(0, endOffset - committedOffset), 0);
      this.#lag.set({ group, topic }, lag);
      state.lag += lag;
    }
    for (const [place, { topic, partition, offset }] of state.unprocessed) {
      // Another member has taken the partition and processed the record.
      const committed = partitions.find((one) => one.topic === topic && one.partition === partition)?.committedOffset ?? 0;
      if (committed > offset) state.unprocessed.delete(place);
    }
    const dead = await bus.lag(`${group}.dead-letters`, [deadTopic(group).name]);
    this.#deadLetters.set(
      { group },
      dead.reduce((sum, { committedOffset, endOffset }) => sum + endOffset - committedOffset, 0),
    );
  }
}

function placeOf({ topic, partition }: RecordBatch): string {
  return `${topic}/${partition}`;
}

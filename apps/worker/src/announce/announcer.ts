import { workerChanged, type BackEndKind, type Device, type WorkerState, WORKER_HEARTBEAT_MS } from '@weir/contracts';
import type { Clock, Ids } from '@weir/kernel';
import { toRecord, type EventBus } from '@weir/platform/bus';
import type { Logger } from '@weir/platform/telemetry';

/** Longest wait for the bus to take one announcement: the next one says it all again. */
const SEND_TIMEOUT_MS = 4_000;

export interface AnnouncerOptions {
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly workerId: string;
  /** Name of this process, for the events. */
  readonly source: string;
  readonly memoryBytes: number;
  readonly devices: readonly Device[];
  readonly backends: readonly BackEndKind[];
  readonly versions: () => WorkerState['versions'];
  readonly heartbeatMs?: number;
}

/** Says on the topic `inference.workers` what this worker is and has: on every change, and regularly so that silence means it is gone. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #startedAt: string;
  #url: string | null = null;
  #state: WorkerState['state'] = 'serving';
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | null = null;
  #isStale = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    this.#startedAt = new Date(options.clock.now()).toISOString();
  }

  /** From now on the worker is known under `url`. */
  start(url: string): void {
    this.#url = url;
    this.announce();
    this.#timer = setInterval(() => this.announce(), this.#options.heartbeatMs ?? WORKER_HEARTBEAT_MS);
  }

  /** Tells the present state soon; several changes at once make one record. Nothing is said before `start`. */
  announce(): void {
    if (this.#url === null) return;
    this.#isStale = true;
    this.#sending ??= this.#sendWhileStale().finally(() => {
      this.#sending = null;
      if (this.#isStale) this.announce();
    });
  }

  /** Tells that the worker finishes what it has; resolves when the bus has it, or does not take it in time. */
  async drain(): Promise<void> {
    clearInterval(this.#timer);
    this.#state = 'draining';
    this.announce();
    await this.#sending;
  }

  /** Removes the worker from the topic. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#url === null) return;
    this.#url = null;
    await this.#sending;
    await this.#send({ key: this.#options.workerId, value: null });
  }

  async #sendWhileStale(): Promise<void> {
    while (this.#isStale && this.#url !== null) {
      this.#isStale = false;
      await this.#send(toRecord(workerChanged, this.#current(this.#url), this.#attributes()));
    }
    this.#isStale = false;
  }

  async #send(record: Parameters<EventBus['send']>[1][number]): Promise<void> {
    const { bus, logger } = this.#options;
    try {
      await bus.send(workerChanged.topic, [record], { timeoutMs: SEND_TIMEOUT_MS });
    } catch (error) {
      // The worker goes on serving: it is only not seen until the bus is back.
      logger.warn({ err: error }, 'the bus did not take the announcement of this worker');
    }
  }

  #current(url: string): WorkerState {
    const { workerId, memoryBytes, devices, backends, versions, clock } = this.#options;
    return {
      id: workerId,
      url,
      startedAt: this.#startedAt,
      heartbeatAt: new Date(clock.now()).toISOString(),
      state: this.#state,
      memoryBytes,
      devices: [...devices],
      backends: [...backends],
      versions: versions(),
    };
  }

  #attributes(): Parameters<typeof toRecord>[2] {
    const { ids, source, clock } = this.#options;
    return { id: ids.next(), source, tenant: null, occurredAt: new Date(clock.now()).toISOString() };
  }
}

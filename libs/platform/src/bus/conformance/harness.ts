import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { TopicDefinition } from '@weir/contracts';
import { pino } from 'pino';
import { createEventBus, type EventBusConfig } from '../create-event-bus.ts';
import type { BatchContext, BusRecord, EventBus, NewRecord, RecordBatch, SubscribeOptions, Subscription } from '../event-bus.ts';
import { within } from '../within.ts';
import type { ProcessMessage, ProcessTask } from './process-protocol.ts';

/** What the suite needs to know of a bus and its server. */
export interface BusUnderTest {
  /** With a short session, so that the death of a member is noticed soon. */
  readonly config: EventBusConfig;
  /** Stops the server, as an operator would; what is on its disk stays. */
  stopServer(): Promise<void>;
  /** Starts it again at the same address. */
  startServer(): Promise<void>;
  /** Has the server compact the topic now, with its tombstones removed, as it would by itself hours later. */
  compact(topic: string): Promise<void>;
  /** Stops everything and removes the data. */
  dispose(): Promise<void>;
}

/** A deadline for conditions that hold within a second on a free machine: the machine may be busy. */
export const SOON_MS = 30_000;

/** Waits until the condition holds; fails with its text after `SOON_MS`. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + SOON_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`it did not come about: ${what}`);
    await delay(20);
  }
}

/** Rejects when `work` takes longer than `SOON_MS`. */
export function soon<T>(what: string, work: Promise<T>): Promise<T> {
  return within(SOON_MS, work, () => {
    throw new Error(`it did not come about: ${what}`);
  });
}

export function aTopic(overrides: Partial<TopicDefinition> = {}): TopicDefinition {
  const kind = overrides.kind ?? 'fact';
  const retention = kind === 'fact' ? { retentionMs: 86_400_000 } : {};
  return { name: `t${randomUUID().slice(0, 8)}`, kind, partitions: 4, ...retention, key: 'a key', writtenBy: [], readBy: [], ...overrides };
}

export function aGroup(): string {
  return `g${randomUUID().slice(0, 8)}`;
}

/** Records of one key with the values `from` … `to` - 1. */
export function numbered(key: string, from: number, to: number): NewRecord[] {
  return Array.from({ length: to - from }, (_, n) => ({ key, value: String(from + n) }));
}

/** A promise that the test resolves. */
export function aGate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** What a group received, in the order in which it was handed over. */
export class Received {
  readonly records: BusRecord[] = [];

  add(records: readonly BusRecord[]): void {
    this.records.push(...records);
  }

  valuesOf(key: string): string[] {
    return this.records.filter((record) => record.key === key).map((record) => record.value ?? 'tombstone');
  }

  /** Without redeliveries: each value of the key where it came first. */
  firstValuesOf(key: string): string[] {
    return [...new Set(this.valuesOf(key))];
  }

  hasAll(key: string, to: number): boolean {
    return new Set(this.valuesOf(key)).size >= to;
  }
}

/** Values `0` … `to` - 1 in order: what a key should have received. */
export function inOrder(to: number): string[] {
  return Array.from({ length: to }, (_, n) => String(n));
}

/** Buses and processes of one test; all end with it. */
export class Fixture {
  readonly server: BusUnderTest;
  private readonly buses: EventBus[] = [];
  private readonly processes: ChildProcess[] = [];

  constructor(server: BusUnderTest) {
    this.server = server;
  }

  /** A bus as another process would have it. */
  aBus(clientId = 'conformance'): EventBus {
    const bus = createEventBus(this.server.config, { clientId, logger: pino({ level: 'silent' }) });
    this.buses.push(bus);
    return bus;
  }

  /** A new topic. */
  async made(bus: EventBus, overrides: Partial<TopicDefinition> = {}): Promise<string> {
    const topic = aTopic(overrides);
    await bus.ensureTopics([topic]);
    return topic.name;
  }

  /** A joined member that collects what it is handed. */
  async collect(
    bus: EventBus,
    topic: string,
    options: Partial<SubscribeOptions> = {},
  ): Promise<{ received: Received; subscription: Subscription }> {
    const received = new Received();
    const handle = async (batch: RecordBatch, context: BatchContext): Promise<void> => {
      await options.handle?.(batch, context);
      received.add(batch.records);
    };
    const subscription = await bus.subscribe({ group: aGroup(), topics: [topic], ...options, handle });
    await soon('the member joined', subscription.joined);
    return { received, subscription };
  }

  /** A process of its own that works for the test until it is killed. */
  aProcess(task: ProcessTask): { child: ChildProcess; messages: ProcessMessage[] } {
    const child = fork(new URL('./process.ts', import.meta.url), {
      execArgv: ['--conditions=@weir/source', '--disable-warning=TimeoutNegativeWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.processes.push(child);
    const messages: ProcessMessage[] = [];
    child.on('message', (message: ProcessMessage) => messages.push(message));
    child.send({ config: this.server.config, task });
    return { child, messages };
  }

  async close(): Promise<void> {
    for (const child of this.processes) await killed(child);
    await Promise.all(this.buses.map((bus) => bus.close()));
  }
}

/** Kills a process as the kernel would, without a chance to clean up. */
export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

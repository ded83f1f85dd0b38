import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '@weir/kernel';
import type { EventBus, NewRecord } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { decodeChunk, encodeRecord } from './segment.ts';
import { UsageSpool, type UsageSpoolOptions } from './usage-spool.ts';

const logger = createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' });

/** A bus that keeps what it is sent, and can be away. */
class RecordingBus implements Pick<EventBus, 'send'> {
  readonly sent: NewRecord[] = [];
  isAway = false;

  async send(_: string, records: readonly NewRecord[]): Promise<void> {
    if (this.isAway) throw new AppError('service.unavailable');
    this.sent.push(...records.map(({ key, value }) => ({ key, value })));
  }
}

let directory: string;
let bus: RecordingBus;
const opened: UsageSpool[] = [];

async function open(options: Partial<UsageSpoolOptions> = {}): Promise<UsageSpool> {
  const spool = await UsageSpool.open({ directory, sync: 'write', maxBytes: 1_048_576, ...options }, bus as unknown as EventBus, logger);
  opened.push(spool);
  return spool;
}

const anEvent = (n: number) => ({ key: 'acme', value: JSON.stringify({ id: `event-${n}`, note: 'ä "quoted" text' }) });

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-spool-'));
  bus = new RecordingBus();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((spool) => spool.close(0)));
  await rm(directory, { recursive: true, force: true });
});

describe('usage spool', () => {
  test('an event is in the file when the append resolves, under both policies', async () => {
    bus.isAway = true;
    for (const sync of ['write', 'commit'] as const) {
      directory = await mkdtemp(path.join(tmpdir(), 'weir-spool-'));
      const spool = await open({ sync });
      await spool.append(anEvent(1));
      const [segment] = (await readdir(directory)).filter((name) => name.endsWith('.spool'));
      const { records } = decodeChunk(await readFile(path.join(directory, segment ?? '')));
      expect(records).toEqual([anEvent(1)]);
    }
  });

  test('events reach the bus in the order of their appends, over many segments, and the segments are removed', async () => {
    const spool = await open({ segmentBytes: 200 });
    const events = Array.from({ length: 50 }, (_, n) => anEvent(n));
    for (const event of events) await spool.append(event);
    await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 5_000 });
    expect(bus.sent).toEqual(events);
    await vi.waitFor(
      async () => expect((await readdir(directory)).filter((name) => name.endsWith('.spool')).length).toBeLessThanOrEqual(1),
      { timeout: 5_000 },
    );
  });

  test('while the bus is away events wait, and are shipped once it is back', async () => {
    bus.isAway = true;
    const spool = await open();
    await Promise.all([anEvent(1), anEvent(2), anEvent(3)].map((event) => spool.append(event)));
    expect(spool.pendingBytes).toBeGreaterThan(0);
    bus.isAway = false;
    await vi.waitFor(() => expect(bus.sent).toHaveLength(3), { timeout: 5_000 });
  });

  test('what a process left is shipped by the next one; the line that a crash tore is dropped', async () => {
    await writeFile(path.join(directory, '000000000000.spool'), encodeRecord(anEvent(1)) + encodeRecord(anEvent(2)));
    await appendFile(path.join(directory, '000000000000.spool'), encodeRecord(anEvent(3)).slice(0, 20));
    await writeFile(path.join(directory, 'owner.pid'), '2147483646');
    const spool = await open();
    await spool.append(anEvent(4));
    await vi.waitFor(() => expect(bus.sent).toEqual([anEvent(1), anEvent(2), anEvent(4)]), { timeout: 5_000 });
    await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 5_000 });
  });

  test('a damaged line does not take its neighbours with it', async () => {
    const damaged = encodeRecord(anEvent(2)).replace('event-2', 'event-9');
    await writeFile(path.join(directory, '000000000007.spool'), encodeRecord(anEvent(1)) + damaged + encodeRecord(anEvent(3)));
    await open();
    await vi.waitFor(() => expect(bus.sent).toEqual([anEvent(1), anEvent(3)]), { timeout: 5_000 });
  });

  test('when its room is used up, events are refused before anything is written', async () => {
    bus.isAway = true;
    const spool = await open({ maxBytes: 100 });
    await spool.append(anEvent(1));
    await spool.append(anEvent(2));
    expect(spool.hasRoom).toBe(false);
    await expect(spool.append(anEvent(3))).rejects.toMatchObject({ code: 'usage.unrecordable' });
  });

  test('a folder has one process: another live one is refused, a dead one is succeeded', async () => {
    const spool = await open();
    await writeFile(path.join(directory, 'owner.pid'), String(process.ppid));
    await expect(open()).rejects.toThrow(/is used by process/);
    await spool.close(0);
  });
});

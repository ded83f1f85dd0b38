import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '@weir/kernel';
import type { EventBus, NewRecord } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { decodeChunk, encodeRecord, segmentName } from './segment.ts';
import { UsageSpool, type UsageSpoolOptions } from './usage-spool.ts';

const logger = createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' });

/** A bus that keeps what it is sent, and can be unavailable. */
class RecordingBus implements Pick<EventBus, 'send'> {
  readonly sent: NewRecord[] = [];
  isAway = false;
  /** Sends that failed. */
  refused = 0;

  async send(_: string, records: readonly NewRecord[]): Promise<void> {
    if (this.isAway) {
      this.refused++;
      throw new AppError('service.unavailable');
    }
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

  test('a send that the bus refuses loses nothing: its events are sent once the bus is back, in order and once', async () => {
    bus.isAway = true;
    const spool = await open();
    const events = [anEvent(1), anEvent(2), anEvent(3)];
    await Promise.all(events.map((event) => spool.append(event)));
    await vi.waitFor(() => expect(bus.refused).toBeGreaterThan(0), { timeout: 5_000 });
    expect(spool.pendingBytes).toBeGreaterThan(0);
    bus.isAway = false;
    await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 5_000 });
    expect(bus.sent).toEqual(events);
  });

  test('a send that the bus refuses is left to the next process when this one ends', async () => {
    bus.isAway = true;
    const spool = await open();
    await spool.append(anEvent(1));
    await vi.waitFor(() => expect(bus.refused).toBeGreaterThan(0), { timeout: 5_000 });
    await spool.close(0);
    bus.isAway = false;
    await open();
    await vi.waitFor(() => expect(bus.sent).toEqual([anEvent(1)]), { timeout: 5_000 });
  });

  test('a process that recorded nothing between two that did keeps the order of segments: all events are shipped', async () => {
    for (const events of [[anEvent(1)], [], [anEvent(2)], [], [], [anEvent(3)]]) {
      const spool = await open();
      for (const event of events) await spool.append(event);
      await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 5_000 });
      await spool.close(5_000);
    }
    expect(bus.sent).toEqual([anEvent(1), anEvent(2), anEvent(3)]);
  });

  test('what is pending after a restart is exactly what was not shipped, and it counts against the room', async () => {
    bus.isAway = true;
    const lines = [1, 2, 3, 4].map((n) => encodeRecord(anEvent(n)));
    const bytes = (...indexes: number[]): number => indexes.reduce((sum, index) => sum + Buffer.byteLength(lines[index] ?? ''), 0);
    const segment = (sequence: number): string => path.join(directory, segmentName(sequence));
    await writeFile(segment(2), 'a shipped segment that a killed process had no time to delete');
    await writeFile(segment(3), [lines[0], lines[1], lines[2]].join(''));
    await writeFile(segment(4), lines[3] ?? '');
    await writeFile(path.join(directory, 'position.json'), JSON.stringify({ sequence: 3, offset: bytes(0) }));
    const full = await open({ maxBytes: bytes(1, 2, 3) });
    expect(full.pendingBytes).toBe(bytes(1, 2, 3));
    expect(full.hasRoom).toBe(false);
    expect(() => full.enter()).toThrow(expect.objectContaining({ code: 'usage.unrecordable' }));
    await full.close(0);
    const spool = await open({ maxBytes: bytes(1, 2, 3) + 1 });
    expect(spool.hasRoom).toBe(true);
    await spool.append(anEvent(5));
    expect(spool.hasRoom).toBe(false);
    bus.isAway = false;
    await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 5_000 });
    expect(bus.sent).toEqual([2, 3, 4, 5].map(anEvent));
    await spool.close(0);
    expect(await readdir(directory)).not.toContain(segmentName(2));
  });

  test('what a process left is shipped by the next one; the line that a crash tore is dropped', async () => {
    await writeFile(path.join(directory, '000000000000.spool'), encodeRecord(anEvent(1)) + encodeRecord(anEvent(2)));
    await appendFile(path.join(directory, '000000000000.spool'), encodeRecord(anEvent(3)).slice(0, 20));
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

  test('closes and releases its directory although its position cannot be written', async () => {
    const spool = await open();
    await spool.append(anEvent(1));
    await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 5_000 });
    await mkdir(path.join(directory, 'position.json.new'));
    await spool.close(0);
    await rm(path.join(directory, 'position.json.new'), { recursive: true });
    await expect(open()).resolves.toBeInstanceOf(UsageSpool);
  });

  test('a directory has one spool at a time', async () => {
    const spool = await open();
    await expect(open()).rejects.toThrow(/locked by another process/);
    await spool.close(0);
    await expect(open()).resolves.toBeInstanceOf(UsageSpool);
  });
});

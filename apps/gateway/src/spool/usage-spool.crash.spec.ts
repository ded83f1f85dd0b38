import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EventBus } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { expect, test, vi } from 'vitest';
import { UsageSpool } from './usage-spool.ts';

const PROCESS = new URL('./spool-process.fixture.ts', import.meta.url);
const KILLS = 3;

test('kill -9 at any moment, again and again: every event that was durable reaches the bus', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-spool-'));
  const durable: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const child = fork(PROCESS, [directory, `process${kill}`], {
      execArgv: ['--conditions=@weir/source', '--disable-warning=ExperimentalWarning'],
    });
    const before = durable.length;
    child.on('message', (id: string) => durable.push(id));
    // Each is killed after another number of events, so at another place of a segment and a group.
    await vi.waitFor(() => expect(durable.length - before).toBeGreaterThan(150 + 37 * kill), { timeout: 20_000, interval: 1 });
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const sent = new Set<string>();
  const bus: Pick<EventBus, 'send'> = {
    send: async (_topic, records) => {
      for (const record of records) sent.add((JSON.parse(record.value ?? '') as { id: string }).id);
    },
  };
  const logger = createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' });
  const spool = await UsageSpool.open({ directory, sync: 'write', maxBytes: 1_073_741_824 }, bus as EventBus, logger);
  await vi.waitFor(() => expect(spool.pendingBytes).toBe(0), { timeout: 10_000 });
  expect(durable.filter((id) => !sent.has(id))).toEqual([]);
  await spool.close(0);
  await rm(directory, { recursive: true });
}, 60_000);

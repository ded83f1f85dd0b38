import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '@weir/kernel';
import type { EventBus } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { expect, test, vi } from 'vitest';
import { UsageSpool } from './usage-spool.ts';

const logger = createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' });

test('the time for which usage waits grows while the bus refuses it, later calls do not reset it, and it ends with the shipment', async () => {
  let isRefusing = true;
  const send = async (): Promise<void> => {
    if (isRefusing) throw new AppError('service.unavailable');
  };
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-spool-'));
  const spool = await UsageSpool.open({ directory, sync: 'write', maxBytes: 1_048_576 }, { send } as unknown as EventBus, logger);
  try {
    expect(spool.waitingMs).toBe(0);
    await spool.append({ key: 'acme', value: '{"id":"event-1"}' });
    await vi.waitFor(() => expect(spool.waitingMs).toBeGreaterThan(50), { timeout: 10_000 });
    await spool.append({ key: 'acme', value: '{"id":"event-2"}' });
    expect(spool.waitingMs).toBeGreaterThan(50);
    isRefusing = false;
    await vi.waitFor(() => expect(spool.waitingMs).toBe(0), { timeout: 10_000 });
  } finally {
    await spool.close(0);
    await rm(directory, { recursive: true, force: true });
  }
});

// Fills its disk (the process's file size limit) with one record that does not fit, twice, and goes on; reports what is left on the disk.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventBus } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { UsageSpool } from './usage-spool.ts';

const [directory = ''] = process.argv.slice(2);
const bus: Pick<EventBus, 'send'> = { send: () => Promise.resolve() };
const spool = await UsageSpool.open(
  { directory, sync: 'commit', maxBytes: 1_073_741_824 },
  bus as EventBus,
  createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' }),
);
const append = (bytes: number): Promise<'durable' | 'refused'> =>
  spool.append({ key: 'acme', value: JSON.stringify({ padding: 'x'.repeat(bytes) }) }).then(
    () => 'durable' as const,
    () => 'refused' as const,
  );
const segments = (): string[] => readdirSync(directory).filter((name) => name.endsWith('.spool'));
const untilSegments = async (count: number): Promise<void> => {
  for (let tries = 0; tries < 200 && segments().length !== count; tries++) await sleep(25);
};

const outcomes = [await append(100), await append(100_000), await append(100_000)];
const hasFailed = spool.hasFailed;
await untilSegments(0);
const left = segments();
outcomes.push(await append(100));
process.send?.({ outcomes, hasFailed, left, hasFailedAfterwards: spool.hasFailed, failedWrites: spool.failedWrites });

// Appends events as fast as it can and tells of each that is durable, until it is killed.
import type { EventBus } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { UsageSpool } from './usage-spool.ts';

const [directory = '', name = ''] = process.argv.slice(2);
const away: Pick<EventBus, 'send'> = { send: () => Promise.reject(new Error('the bus is away')) };
const spool = await UsageSpool.open(
  { directory, sync: 'commit', maxBytes: 1_073_741_824, segmentBytes: 20_000 },
  away as EventBus,
  createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' }),
);
let next = 0;
const append = async (): Promise<void> => {
  for (;;) {
    const id = `${name}-${next++}`;
    await spool.append({ key: 'acme', value: JSON.stringify({ id, padding: 'x'.repeat(next % 700) }) });
    process.send?.(id);
  }
};
await Promise.all(Array.from({ length: 8 }, append));

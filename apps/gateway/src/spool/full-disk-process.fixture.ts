// Appends groups of events to a spool whose segments cannot grow past the process's file size limit, and reports each outcome.
import type { EventBus } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import { UsageSpool } from './usage-spool.ts';

const GROUPS = 4;
const EVENTS_OF_A_GROUP = 8;

const [directory = ''] = process.argv.slice(2);
const unavailable: Pick<EventBus, 'send'> = { send: () => Promise.reject(new Error('the bus is unavailable')) };
const spool = await UsageSpool.open(
  { directory, sync: 'commit', maxBytes: 1_073_741_824 },
  unavailable as EventBus,
  createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' }),
);
const outcomes: Record<string, 'durable' | 'refused'> = {};
for (let group = 0; group < GROUPS; group++) {
  await Promise.all(
    Array.from({ length: EVENTS_OF_A_GROUP }, async (_, n) => {
      const id = `event-${group}-${n}`;
      try {
        // The second group is the one that does not fit behind the first.
        await spool.append({ key: 'acme', value: JSON.stringify({ id, padding: 'x'.repeat(1_500) }) });
        outcomes[id] = 'durable';
      } catch {
        outcomes[id] = 'refused';
      }
    }),
  );
}
process.send?.(outcomes);

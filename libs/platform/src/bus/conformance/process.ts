import { once } from 'node:events';
import { pino } from 'pino';
import { createEventBus } from '../create-event-bus.ts';
import type { EventBus } from '../event-bus.ts';
import type { ProcessMessage, ProcessOrder, ProcessTask } from './process-protocol.ts';

/** A process that the conformance suite starts in order to kill it. */
function tell(message: ProcessMessage): void {
  process.send?.(message);
}

async function produce(bus: EventBus, task: Extract<ProcessTask, { role: 'produce' }>): Promise<void> {
  for (let value = task.from; ; value++) {
    await bus.send(task.topic, [{ key: task.key, value: String(value) }]);
    tell({ kind: 'acknowledged', value });
  }
}

async function consume(bus: EventBus, task: Extract<ProcessTask, { role: 'consume' }>): Promise<void> {
  const subscription = await bus.subscribe({
    group: task.group,
    topics: [task.topic],
    maxBatch: 10,
    handle: async (batch) => {
      tell({ kind: 'handled', records: batch.records.map(({ partition, offset, key, value }) => ({ partition, offset, key, value })) });
      if (task.holds) await new Promise(() => undefined);
    },
  });
  await subscription.joined;
  tell({ kind: 'joined' });
}

process.once('disconnect', () => process.exit(0));
const [order] = (await once(process, 'message')) as [ProcessOrder];
const bus = createEventBus(order.config, { clientId: `conformance ${process.pid}`, logger: pino({ level: 'silent' }) });
if (order.task.role === 'produce') await produce(bus, order.task);
else await consume(bus, order.task);

import type { EventBus } from '@weir/platform/bus';
import { createLogger, createMetrics } from '@weir/platform/telemetry';
import { countingIds, TestClock } from '@weir/testing';
import { describe, expect, it } from 'vitest';
import { aUsageEvent } from '../usage-event.fixture.ts';
import { batchOf } from '../usage-batch.fixture.ts';
import { LedgerConsumer } from './ledger.consumer.ts';
import type { LedgerBatch } from './ledger.store.ts';

/** A store like the real one that refuses a batch with the given event as PostgreSQL would, without saying which it was. */
function aStoreThatCannotTake(eventId: string, code: string) {
  const recorded: string[] = [];
  const record = async ({ entries }: LedgerBatch): Promise<number> => {
    if (entries.some((entry) => entry.eventId === eventId)) throw Object.assign(new Error('refused'), { code });
    recorded.push(...entries.map((entry) => entry.eventId));
    return entries.length;
  };
  return { record, recorded };
}

function aConsumer(store: Pick<ReturnType<typeof aStoreThatCannotTake>, 'record'>) {
  const bus: Pick<EventBus, 'subscribe'> = { subscribe: () => Promise.reject(new Error('the spec hands batches over itself')) };
  const logger = createLogger({ service: 'metering', instanceId: 'spec', level: 'silent' });
  return new LedgerConsumer(
    store,
    bus,
    logger,
    new TestClock(),
    countingIds(),
    { name: 'metering', instanceId: 'spec' },
    createMetrics('metering'),
  );
}

describe('a value that the database cannot store', () => {
  it('is found among the others, which are recorded, and its record is named to the bus', async () => {
    const events = [aUsageEvent(), aUsageEvent(), aUsageEvent()] as const;
    const store = aStoreThatCannotTake(events[1].id, '22P02');
    const batch = batchOf(events);
    await expect(aConsumer(store).handle(batch)).rejects.toThrow(
      expect.objectContaining({ name: 'PoisonRecordError', record: batch.records[1] }),
    );
    expect(store.recorded).toEqual([events[0].id]);
  });

  it('is not what a database that is away says: then the batch comes again', async () => {
    const events = [aUsageEvent(), aUsageEvent()] as const;
    const store = aStoreThatCannotTake(events[1].id, '57P01');
    await expect(aConsumer(store).handle(batchOf(events))).rejects.toThrow(expect.objectContaining({ code: '57P01' }));
    expect(store.recorded).toEqual([]);
  });
});

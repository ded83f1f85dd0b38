import { expect, it } from 'vitest';
import { deliver } from './delivery.ts';
import { PoisonRecordError, type BusRecord, type RecordBatch } from './event-bus.ts';

function aRecord(offset: number): BusRecord {
  return { topic: 't', partition: 0, offset, key: 'k', value: String(offset), headers: {}, timestampMs: 0 };
}

/** A batch of the offsets 0, 1 and 2, of which 1 is poisoned. */
const batch: RecordBatch = { topic: 't', partition: 0, records: [aRecord(0), aRecord(1), aRecord(2)] };
const context = { signal: new AbortController().signal, heartbeat: async () => {} };

function aDelivery(bury: (poison: PoisonRecordError) => Promise<void>): { readonly handled: number[]; readonly run: () => Promise<void> } {
  const handled: number[] = [];
  const putAside = new Set<number>();
  const handle = async ({ records }: RecordBatch): Promise<void> => {
    const poisoned = records.find((record) => record.offset === 1);
    if (poisoned !== undefined) throw new PoisonRecordError(poisoned, 'poisoned');
    handled.push(...records.map((record) => record.offset));
  };
  return { handled, run: () => deliver({ batch, context, handle, putAside, bury }) };
}

it('a poisoned record is skipped only after its dead letter is written: while that fails, the batch fails and is redelivered whole', async () => {
  const letters: number[] = [];
  let isBusDown = true;
  const { handled, run } = aDelivery(async (poison) => {
    if (isBusDown) throw new Error('the bus is down');
    letters.push(poison.record.offset);
  });
  await expect(run()).rejects.toThrow('the bus is down');
  await expect(run()).rejects.toThrow('the bus is down');
  expect({ handled, letters }).toEqual({ handled: [], letters: [] });
  isBusDown = false;
  await run();
  expect({ handled, letters }).toEqual({ handled: [0, 2], letters: [1] });
});

it('a dead letter is written once, also when the rest of the batch is redelivered', async () => {
  const letters: number[] = [];
  const { handled, run } = aDelivery(async (poison) => void letters.push(poison.record.offset));
  await run();
  await run();
  expect({ handled, letters }).toEqual({ handled: [0, 2, 0, 2], letters: [1] });
});

import type { BatchContext, BusRecord, RecordBatch, SubscribeOptions } from './event-bus.ts';
import { PoisonRecordError } from './event-bus.ts';
import { inTraceOf } from './trace-context.ts';

/**
 * Hands a batch to its handler until it resolves. Poisoned records are put aside and the rest is handed over again;
 * `putAside` remembers them by offset, so that a later replay of the same batch does not write a second dead letter.
 *
 * @throws what the handler throws otherwise, and what `bury` throws: the batch must come again
 */
export async function deliver(options: {
  readonly batch: RecordBatch;
  readonly context: BatchContext;
  readonly handle: SubscribeOptions['handle'];
  readonly putAside: Set<number>;
  readonly bury: (poison: PoisonRecordError) => Promise<void>;
}): Promise<void> {
  const { batch, context, handle, putAside, bury } = options;
  for (;;) {
    const [first, ...rest] = batch.records.filter((record) => !putAside.has(record.offset));
    if (first === undefined) return;
    const records: [BusRecord, ...BusRecord[]] = [first, ...rest];
    try {
      await inTraceOf(batch.topic, records, () => handle({ topic: batch.topic, partition: batch.partition, records }, context));
      return;
    } catch (error) {
      if (!(error instanceof PoisonRecordError) || !isAmong(records, error.record)) throw error;
      await bury(error);
      putAside.add(error.record.offset);
    }
  }
}

/** A handler that blames a record of another batch is wrong itself: burying that record would never end. */
function isAmong(records: readonly BusRecord[], record: BusRecord): boolean {
  return records.some((one) => one.offset === record.offset && one.partition === record.partition && one.topic === record.topic);
}

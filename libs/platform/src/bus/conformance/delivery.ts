import { context, propagation, trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { AppError } from '@weir/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEAD_LETTER_HEADERS, deadTopic } from '../dead-letters.ts';
import { PoisonRecordError, type EventBus } from '../event-bus.ts';
import { partitionOf } from '../partitioner.ts';
import { VALUE_MAX_BYTES } from '../record-limits.ts';
import { aGate, aGroup, eventually, Fixture, inOrder, numbered, Received, soon, type BusUnderTest } from './harness.ts';

/** What a group is promised while all processes live. */
export function describeDelivery(server: () => BusUnderTest): void {
  let fixture: Fixture;
  let bus: EventBus;
  beforeEach(() => {
    fixture = new Fixture(server());
    bus = fixture.aBus();
  });
  afterEach(() => fixture.close());

  const lagOf = async (group: string, topic: string): Promise<number> => {
    const partitions = await bus.lag(group, [topic]);
    return partitions.reduce((sum, { committedOffset, endOffset }) => sum + endOffset - committedOffset, 0);
  };

  describe('delivery', () => {
    it('records of a key are read in the order in which they were sent, with producers at work side by side', async () => {
      const topic = await fixture.made(bus);
      const keys = inOrder(12).map((n) => `key ${n}`);
      const producers = [bus, fixture.aBus(), fixture.aBus()];
      await Promise.all(
        keys.map(async (key, index) => {
          const producer = producers[index % producers.length] ?? bus;
          for (let from = 0; from < 60; from += 6) await producer.send(topic, numbered(key, from, from + 6));
        }),
      );
      const { received } = await fixture.collect(bus, topic);
      await eventually('all was read', () => received.records.length >= 12 * 60);
      for (const key of keys) expect(received.valuesOf(key)).toEqual(inOrder(60));
    });

    it('a send over several partitions is whole, and keeps the order of each key', async () => {
      const topic = await fixture.made(bus);
      const { received } = await fixture.collect(bus, topic);
      const records = inOrder(2_500).map((value) => ({ key: `key ${Number(value) % 7}`, value }));
      await bus.send(topic, records);
      await eventually('all was read', () => received.records.length >= 2_500);
      for (let key = 0; key < 7; key++)
        expect(received.valuesOf(`key ${key}`)).toEqual(inOrder(2_500).filter((value) => Number(value) % 7 === key));
    });

    it('a record comes with its key, headers and time as they were sent', async () => {
      const topic = await fixture.made(bus);
      const { received } = await fixture.collect(bus, topic);
      const beforeMs = Date.now();
      await bus.send(topic, [
        { key: 'ключ "1"', value: '{"text":"ä 日本 \\u0000 \\\\"}', headers: { 'event-type': 'a.b.v1', quote: '"\\' } },
      ]);
      await eventually('it was read', () => received.records.length === 1);
      expect(received.records[0]).toMatchObject({
        topic,
        key: 'ключ "1"',
        value: '{"text":"ä 日本 \\u0000 \\\\"}',
        headers: { 'event-type': 'a.b.v1', quote: '"\\' },
      });
      expect(Math.abs((received.records[0]?.timestampMs ?? 0) - beforeMs)).toBeLessThan(60_000);
    });

    it('each group reads everything, from the oldest record on', async () => {
      const topic = await fixture.made(bus);
      await bus.send(topic, numbered('k', 0, 5));
      const first = await fixture.collect(bus, topic);
      const second = await fixture.collect(bus, topic);
      await bus.send(topic, numbered('k', 5, 10));
      for (const { received } of [first, second]) {
        await eventually('all was read', () => received.records.length >= 10);
        expect(received.valuesOf('k')).toEqual(inOrder(10));
      }
    });

    it('how far a group is behind can be told, before it began and after it has caught up', async () => {
      const topic = await fixture.made(bus);
      const group = aGroup();
      await bus.send(topic, numbered('k', 0, 10));
      expect(await lagOf(group, topic)).toBe(10);
      await fixture.collect(bus, topic, { group });
      await eventually('it has caught up', async () => (await lagOf(group, topic)) === 0);
    });

    it('a record that is too large for one of the buses is refused by both', async () => {
      const topic = await fixture.made(bus);
      const { received } = await fixture.collect(bus, topic);
      await expect(bus.send(topic, [{ key: 'k', value: 'x'.repeat(VALUE_MAX_BYTES + 1) }])).rejects.toMatchObject({
        code: 'request.too_large',
      });
      await bus.send(
        topic,
        [1, 2, 3].map((n) => ({ key: `k${n}`, value: 'x'.repeat(VALUE_MAX_BYTES) })),
      );
      await eventually('the largest were read', () => received.records.length === 3);
    });

    it('text that one of the buses cannot store is refused by both, and nothing of the send is written', async () => {
      const topic = await fixture.made(bus);
      const { received } = await fixture.collect(bus, topic);
      for (const text of ['a\0b', '\ud800']) {
        for (const record of [
          { key: text, value: 'v' },
          { key: 'k', value: text },
          { key: 'k', value: 'v', headers: { h: text } },
        ]) {
          await expect(bus.send(topic, [{ key: 'k', value: 'before' }, record])).rejects.toMatchObject({ code: 'request.invalid' });
        }
      }
      await bus.send(topic, [{ key: 'k', value: 'good' }]);
      await eventually('the good one was read', () => received.records.length > 0);
      expect(received.valuesOf('k')).toEqual(['good']);
    });

    it('a topic that does not exist is an error at once, not a wait', async () => {
      await expect(soon('it was refused', bus.send('missing', [{ key: 'k', value: 'v' }]))).rejects.toBeInstanceOf(AppError);
    });

    it('a handler runs within the trace of the work that sent the record', async () => {
      new NodeTracerProvider().register();
      try {
        const topic = await fixture.made(bus);
        const traces: (string | undefined)[] = [];
        await fixture.collect(bus, topic, { handle: async () => void traces.push(trace.getActiveSpan()?.spanContext().traceId) });
        const sent = await trace.getTracer('conformance').startActiveSpan('work', async (span) => {
          await bus.send(topic, [{ key: 'k', value: 'v' }]);
          span.end();
          return span.spanContext().traceId;
        });
        await eventually('it was handled', () => traces.length > 0);
        expect(traces).toEqual([sent]);
      } finally {
        trace.disable();
        context.disable();
        propagation.disable();
      }
    });
  });

  describe('a handler that fails', () => {
    it('a poisoned record goes to the dead letters with the reason and its place, and the rest goes on without it', async () => {
      const topic = await fixture.made(bus, { partitions: 1 });
      const group = aGroup();
      const headers = { 'event-type': 'a.thing.happened.v1' };
      await bus.send(
        topic,
        inOrder(6).map((value) => ({ key: `key ${value}`, value, headers })),
      );
      const { received } = await fixture.collect(bus, topic, {
        group,
        handle: async (batch) => {
          const poisoned = batch.records.find((record) => record.value === '1' || record.value === '4');
          if (poisoned !== undefined) throw new PoisonRecordError(poisoned, `value ${poisoned.value} is not wanted`);
        },
      });
      await eventually('the rest was handled', async () => (await lagOf(group, topic)) === 0);
      expect(received.records.map((record) => record.value)).toEqual(['0', '2', '3', '5']);

      const dead = await fixture.collect(bus, deadTopic(group).name);
      await eventually('the dead letters were read', () => dead.received.records.length === 2);
      expect(dead.received.records[0]).toMatchObject({
        key: 'key 1',
        value: '1',
        headers: {
          ...headers,
          [DEAD_LETTER_HEADERS.reason]: 'value 1 is not wanted',
          [DEAD_LETTER_HEADERS.group]: group,
          [DEAD_LETTER_HEADERS.topic]: topic,
          [DEAD_LETTER_HEADERS.partition]: '0',
          [DEAD_LETTER_HEADERS.offset]: '1',
          [DEAD_LETTER_HEADERS.key]: 'key 1',
          [DEAD_LETTER_HEADERS.type]: 'a.thing.happened.v1',
        },
      });
      expect(dead.received.records[1]?.value).toBe('4');
    });

    it('any other error brings the same records again until they are handled; later ones of the partition wait, other partitions go on', async () => {
      const topic = await fixture.made(bus, { partitions: 2 });
      const tries: string[] = [];
      let isMended = false;
      const { received } = await fixture.collect(bus, topic, {
        maxBatch: 5,
        handle: async (batch) => {
          tries.push(batch.records[0].key);
          // A TypeError on purpose: one Kafka client takes it for the end of its consumer.
          if (batch.records.some((record) => record.value === 'broken') && !isMended) throw new TypeError('cannot be handled yet');
        },
      });
      await bus.send(topic, [{ key: 'a', value: 'broken' }, ...numbered('a', 0, 20)]);
      await eventually('it was tried again', () => tries.filter((key) => key === 'a').length >= 3);
      const other = inOrder(10).find((key) => partitionOf(key, 2) !== partitionOf('a', 2)) ?? '';
      await bus.send(topic, numbered(other, 0, 20));
      await eventually('the other partition went on', () => received.hasAll(other, 20));
      expect(received.valuesOf('a')).toEqual([]);
      isMended = true;
      await eventually('it was handled', () => received.hasAll('a', 21));
      expect(received.firstValuesOf('a')).toEqual(['broken', ...inOrder(20)]);
    });
  });

  describe('pace', () => {
    it('a slow handler has one batch of a partition in hand, of bounded size, however much waits', async () => {
      const topic = await fixture.made(bus, { partitions: 1 });
      await bus.send(topic, numbered('k', 0, 3_000));
      const gate = aGate();
      let inHand = 0;
      let mostInHand = 0;
      let largest = 0;
      const { received } = await fixture.collect(bus, topic, {
        maxBatch: 100,
        handle: async (batch) => {
          mostInHand = Math.max(mostInHand, ++inHand);
          largest = Math.max(largest, batch.records.length);
          await gate.opened;
          inHand--;
        },
      });
      await eventually('the first batch is in hand', () => inHand === 1);
      await bus.send(topic, numbered('k', 3_000, 3_500));
      gate.open();
      await eventually('all was handled', () => received.records.length >= 3_500);
      expect({ mostInHand, largest }).toEqual({ mostInHand: 1, largest: 100 });
      expect(received.valuesOf('k')).toEqual(inOrder(3_500));
    });

    it('closing finishes the batch in hand and commits it: nothing of it comes again, nothing after it is lost', async () => {
      const topic = await fixture.made(bus, { partitions: 1 });
      const group = aGroup();
      await bus.send(topic, numbered('k', 0, 10));
      const gate = aGate();
      let signal: AbortSignal | undefined;
      const first = new Received();
      const subscription = await bus.subscribe({
        group,
        topics: [topic],
        maxBatch: 10,
        handle: async (batch, batchContext) => {
          signal = batchContext.signal;
          await gate.opened;
          first.add(batch.records);
        },
      });
      await eventually('the batch is in hand', () => signal !== undefined);
      const closed = subscription.close();
      await eventually('the handler is told', () => signal?.aborted === true);
      gate.open();
      await soon('it closed', closed);
      await bus.send(topic, numbered('k', 10, 20));

      const { received: second } = await fixture.collect(bus, topic, { group });
      await eventually('the rest was read', () => first.records.length + second.records.length >= 20);
      expect([...first.valuesOf('k'), ...second.valuesOf('k')]).toEqual(inOrder(20));
    });
  });
}
